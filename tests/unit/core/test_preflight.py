"""When a task says too little to begin, what is asked about it, and what is made of hostile answers."""

import json
from typing import Any

import pytest

from codexsys_core.preflight import (
    MARK,
    MOST_FILES,
    Unreadable,
    concerned,
    questions,
    request,
    thin,
)
from codexsys_core.question import DECIDE_YOURSELF
from codexsys_core.source import GitSource
from codexsys_core.task import Requirements, TaskSpec

NOTHING = Requirements()
SOURCE = GitSource(url="https://example.org/a.git")


@pytest.mark.parametrize(
    "prompt",
    [
        "Make it better.",
        "Mend it",
        "Please improve the performance of our shop",
        "It is slow... please help!",
        "Mach es bitte schöner",
        "改进一下这个项目",
        " \n ",
    ],
)
def test_what_says_too_little(prompt: str) -> None:
    assert thin(prompt, NOTHING)


@pytest.mark.parametrize(
    "prompt",
    [
        "Fix the bug in calc.py",
        "Mend src/shop",
        "Look at /etc",
        "Rename `total`",
        "Rename getTotal to total",
        "Call total() once",
        "Handle an empty list_of_items",
        "Add a --json flag",
        "Close issue 7",
        "The title is to say “Hello there”",
        "One test fails. Find the reason in the code and fix it.",
        "Pneumonoultramicroscopicsilicovolcanoconiosis " * 3,
        "把列表命令加上机器可读的输出并且为它写测试然后更新说明文档",
    ],
)
def test_what_names_something_or_says_more(prompt: str) -> None:
    assert not thin(prompt, NOTHING)


@pytest.mark.parametrize("name", ["functional", "acceptance", "affected_files"])
def test_structured_requirements_are_enough(name: str) -> None:
    assert not thin("Mend it", Requirements.model_validate({name: ["one"]}))
    assert thin("Mend it", Requirements(technical=["no new packages"]))


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "explain"},
        {"engine": "command", "command": "true"},
        {"clarify": "assume"},
        {"clarify": "never"},
        {"prompt": "Mend calc.py"},
    ],
)
def test_nobody_else_is_concerned(change: dict[str, Any]) -> None:
    spec: dict[str, Any] = {"prompt": "Mend it", "source": SOURCE}
    assert concerned(TaskSpec(**spec))
    assert not concerned(TaskSpec(**spec | change))


def test_what_is_sent_is_data_and_bounded() -> None:
    names = ["0" * 999 + ".py", "deep/down/here.py", "bad\udcff\n\u202e", *map(str, range(300))]
    spec = TaskSpec(prompt="Mend it", source=SOURCE, requirements=Requirements(technical=["none"]))
    answers = [{"question": "Red?", "answer": "yes"}]
    sent = request(spec, check="make test", paths=names, answers=answers)
    system, user = sent["messages"]
    assert system["content"].startswith(MARK)
    assert user["content"].encode()
    told = json.loads(user["content"])
    assert (told["task"], told["check"], told["answers"]) == ("Mend it", "make test", answers)
    assert told["requirements"] == {"technical": ["none"]}
    assert len(told["files"]) == MOST_FILES
    assert told["files_left_out"] == len(names) - MOST_FILES
    assert max(map(len, told["files"])) == 200
    assert "deep/down/here.py" not in told["files"]  # the top comes first


def test_ready_is_ready() -> None:
    for text in (
        '{"ready": true}',
        ' {"ready":true,"questions":[]}\n',
        '```json\n{"ready": true}\n```',
    ):
        assert questions(text) == []


def test_questions_come_with_a_default() -> None:
    text = 'Well:\n```\n{"ready": false, "questions": [{"text": "Red?", "options": ["red"]}, {"text": "Deep?", "default": "no"}]}\n```'
    first, second = questions(text)
    assert (first.text, first.options, first.default) == ("Red?", ["red"], DECIDE_YOURSELF)
    assert second.default == "no"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I am ready.",
        "{}",
        "[]",
        "null",
        "7",
        '{"ready": false}',
        '{"ready": "yes"}',
        '{"questions": []}',
        '{"questions": ["Red?"]}',
        '{"questions": [{"text": ""}]}',
        '{"questions": [{"text": "x", "more": 1}]}',
        json.dumps({"questions": [{"text": "x"}] * 4}),
        json.dumps({"questions": [{"text": "x" * 4001}]}),
        json.dumps({"questions": [{"text": "x", "options": ["o"] * 11}]}),
        json.dumps({"questions": [{"text": "x", "default": "d" * 501}]}),
        '{"questions": [{"text": "\\ud800"}]}',
        '{"questions": ' + "[" * 100_000,
        '{"ready": true} {"ready": true}',
    ],
)
def test_what_cannot_be_read_asks_nothing(text: str) -> None:
    with pytest.raises(Unreadable):
        questions(text)
