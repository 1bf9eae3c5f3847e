"""What the built-in engine does beyond asking and running, against a scripted model over real HTTP."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.scripted_door import Fault, Say, ScriptedDoor, Step, scripted_door
from tests.unit.agent.conftest import Sandbox, Worker, git

from codexsys_agent.context import Context
from codexsys_agent.dialect import FORM

EDIT = Say("It subtracts.", (("edit", {"path": "calc.py", "old": "a - b", "new": "a + b"}),))
FINISH = Say("", (("finish", {"status": "done", "summary": "add() adds"}),))


def bash(command: str) -> Say:
    return Say("", (("bash", {"command": command}),))


def outputs(door: ScriptedDoor) -> list[str]:
    return [m["content"] for m in door.asked[-1]["messages"] if m["role"] == "tool"]


def said(door: ScriptedDoor, words: str) -> int:
    return sum(words in str(message["content"]) for message in door.asked[-1]["messages"])


def numbered(door: ScriptedDoor, command: str) -> Callable[[dict[str, Any]], Say]:
    """Say a command with the number of the step in it."""
    return lambda _: bash(command.format(len(door.asked)))


def test_work_that_is_called_done_is_looked_over_once(sandbox: Sandbox, run_agent: Worker) -> None:
    debris = bash("touch scratch.txt")
    with scripted_door(EDIT, debris, FINISH, bash("rm scratch.txt"), FINISH) as door:
        assert run_agent(door.url, requirements={"functional": ["adds"]}) == 0
    shown = outputs(door)[2]
    assert "M calc.py" in shown
    assert "A scratch.txt" in shown
    assert "+    return a + b" in shown
    assert len(door.asked) == 5
    assert b"scratch" not in door.patch()


def test_an_end_stands_when_its_review_cannot_be_paid_for(
    sandbox: Sandbox, run_agent: Worker
) -> None:
    for fault in (Fault(401, "budget_exhausted"), Fault(400, "context_length_exceeded")):
        with scripted_door(EDIT, FINISH, fault) as door:
            assert run_agent(door.url) == 0
        assert sandbox.result()["summary"] == "add() adds"
        (sandbox.code / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    with scripted_door(EDIT, FINISH) as door:
        assert run_agent(door.url, limits={"steps": 2}) == 0
    with scripted_door(EDIT, FINISH, Fault(401, "task_cancelled")) as door:
        (sandbox.code / "calc.py").write_text("def add(a, b):\n    return a - b\n")
        assert run_agent(door.url) == 143


def test_nothing_changed_is_said_before_the_end(run_agent: Worker) -> None:
    with scripted_door(FINISH) as door:
        assert run_agent(door.url) == 0
    assert "nothing in the working tree is changed" in outputs(door)[0]


def test_each_acceptance_criterion_is_answered(sandbox: Sandbox, run_agent: Worker) -> None:
    answered = Say(
        "", (("finish", {"status": "done", "summary": "x", "criteria": ["met", "met"]}),)
    )
    with scripted_door(EDIT, FINISH, answered) as door:
        assert run_agent(door.url, requirements={"acceptance": ["1+2=3", "no change else"]}) == 0
    assert outputs(door)[1].startswith("error: criteria has 0 of 2 answers")
    assert "Is AC-2 met? no change else" in outputs(door)[2]
    assert sandbox.result()["criteria"] == ["met", "met"]


def test_a_plan_is_told(run_agent: Worker) -> None:
    plan = {"steps": [{"step": "add", "done": False}], "files": ["calc.py"], "tests": ["pytest"]}
    with scripted_door(Say("", (("plan", {"steps": []}), ("plan", plan))), EDIT, FINISH) as door:
        assert run_agent(door.url) == 0
    assert outputs(door)[0].startswith("error: plan needs steps")
    assert [e["data"] for e in door.events if e["type"] == "agent.plan"] == [plan]


def test_a_question_ends_the_run_and_its_answer_is_the_calls_result(
    sandbox: Sandbox, run_agent: Worker
) -> None:
    ask = Say("", (("ask_user", {"question": "Tabs?", "options": ["yes"], "default": "no"}),))
    with scripted_door(EDIT, ask) as door:
        assert run_agent(door.url, may_ask=True) == 11
    asked = json.loads((sandbox.root / "output/question.json").read_text())
    assert asked == {"text": "Tabs?", "options": ["yes"], "default": "no"}
    state = door.checkpoints[-1]["state"]
    answers = [{"question": "Tabs?", "answer": "yes"}]
    with scripted_door(FINISH) as door:
        assert run_agent(door.url, may_ask=True, resume=state, answers=answers) == 0
    assert outputs(door)[1] == "To 'Tabs?' the answer is: yes"
    assert said(door, "the answer is: yes") == 1
    earlier = {**state, "messages": state["messages"][:2]}
    with scripted_door(FINISH) as door:
        assert run_agent(door.url, may_ask=True, resume=earlier, answers=answers) == 0
    assert said(door, "[platform] To 'Tabs?' the answer is: yes") == 1
    with scripted_door(FINISH) as door:
        assert run_agent(door.url, answers=answers) == 0
    assert "- Tabs?\n  yes" in door.asked[0]["messages"][1]["content"]


def test_who_cannot_be_asked_is_not(run_agent: Worker) -> None:
    with scripted_door(Say("", (("ask_user", {"question": "?"}),)), FINISH) as door:
        assert run_agent(door.url) == 0
    assert outputs(door)[0].startswith("error: there is no tool 'ask_user'")


SPOKEN = "I look.\n```tool\n" + json.dumps({"tool": "bash", "arguments": {"command": "echo one"}})
EDITED = '<tool_call>{"name": "edit", "arguments": {"path": "calc.py", "old": "a - b", "new": "a + b"}}</tool_call>'
ENDED = '```tool\n{"tool": "finish", "arguments": {"status": "done", "summary": "s"}}\n```'


@pytest.mark.parametrize("first", [(), (Fault(400, "model_refused"),)])
def test_a_model_without_tools_calls_them_in_text(
    sandbox: Sandbox, run_agent: Worker, first: tuple[Step, ...]
) -> None:
    steps = (
        Say("Hm."),
        Say(f"{SPOKEN}\n```"),
        Say("```tool\nnonsense\n```"),
        Say(EDITED),
        Say(ENDED),
    )
    with scripted_door(*first, *steps) as door:
        assert run_agent(door.url) == 0
    assert b"+    return a + b" in door.patch()
    last = door.asked[-1]
    assert "tools" not in last
    assert {message["role"] for message in last["messages"]} == {"system", "user", "assistant"}
    assert "- edit: Replace old with new" in last["messages"][0]["content"]
    assert said(door, FORM) == 2
    assert said(door, "[result of bash]\nexit 0\none") == 1
    assert said(door, "the arguments are not JSON") == 1
    roles = [message["role"] for message in last["messages"][1:]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def test_a_model_that_has_called_tools_is_not_taken_for_one_without(run_agent: Worker) -> None:
    with scripted_door(EDIT, Fault(400, "model_refused")) as door:
        assert run_agent(door.url) == 5
    assert len(door.asked) == 2


def test_work_that_gets_on_earns_half_as_many_steps_once(
    sandbox: Sandbox, run_agent: Worker
) -> None:
    with scripted_door() as door:
        door.script = [numbered(door, "echo {} >> log.txt")]
        assert run_agent(door.url, limits={"steps": 12}) == 3
        assert len(door.asked) == 18
    with scripted_door() as door:
        door.script = [numbered(door, "echo {}")]
        assert run_agent(door.url, limits={"steps": 12}) == 3
        assert len(door.asked) == 12


def test_what_neither_asks_nor_changes_anything_new_is_stopped(
    sandbox: Sandbox, run_agent: Worker
) -> None:
    with scripted_door(bash("date +%s%N")) as door:
        assert run_agent(door.url, limits={"steps": 60}) == 4
    assert "nothing new in 28 steps" in sandbox.result()["detail"]
    assert said(door, "Nothing new was learned") == 1
    with scripted_door(bash("date +%s%N >> calc.txt; date +%s%N")) as door:
        assert run_agent(door.url, limits={"steps": 29}) == 3


def test_nested_instructions_come_with_what_they_hold_for(
    sandbox: Sandbox, run_agent: Worker
) -> None:
    (sandbox.code / "pkg/AGENTS.md").write_text("Data is sorted.\n")
    read = Say("", (("read", {"path": "pkg/data.txt"}),))
    with scripted_door(read, read, FINISH) as door:
        assert run_agent(door.url) == 0
    first, second, _ = outputs(door)
    assert first.endswith("## AGENTS.md of pkg\nData is sorted.")
    assert "sorted" not in second
    assert "pkg/AGENTS.md" in door.asked[0]["messages"][1]["content"]


def test_a_large_repository_is_shown_by_its_folders(sandbox: Sandbox, run_agent: Worker) -> None:
    for number in range(300):
        place = sandbox.code / f"src/part{number % 3}/module{number}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("")
    git(sandbox.code, "add", "src")
    (sandbox.code / "made.txt").write_text("by setup")
    with scripted_door(FINISH) as door:
        assert run_agent(door.url) == 0
    prompt = door.asked[0]["messages"][1]["content"]
    assert "files (306, by folder):" in prompt
    assert "src/part1/ (100 files)" in prompt
    assert "module1.py" not in prompt
    assert "kinds: 302 .py" in prompt
    assert "git status: 301 paths differ" in prompt


def test_huge_instructions_are_cut(sandbox: Sandbox, run_agent: Worker) -> None:
    (sandbox.code / "AGENTS.md").write_text("Keep it small. " * 350_000)
    with scripted_door(FINISH) as door:
        assert run_agent(door.url) == 0
    prompt = door.asked[0]["messages"][1]["content"]
    assert len(prompt) < 40_000
    assert "instructions have 32 KiB in all" in prompt


def test_the_state_is_written_down_after_each_step(sandbox: Sandbox, run_agent: Worker) -> None:
    kept: list[dict[str, Any]] = []

    def look(_: dict[str, Any]) -> Say:
        kept.append(json.loads((sandbox.root / "output/state.json").read_text()))
        return FINISH

    with scripted_door(EDIT, look) as door:
        assert run_agent(door.url, limits={"steps": 2}) == 0
    assert kept[0]["steps"] == 1
    assert kept[0]["messages"][-1]["role"] == "tool"


def test_calls_with_one_id_are_told_apart(sandbox: Sandbox, run_agent: Worker) -> None:
    """Some servers number their calls from one in each reply."""
    steps = [replace(each, call_id="call_1") for each in (EDIT, bash("true"), FINISH)]
    with scripted_door(*steps) as door:
        assert run_agent(door.url) == 0
    record = json.loads((sandbox.root / "output/trajectory.json").read_text())
    ids = [call["tool_call_id"] for s in record["steps"] for call in s.get("tool_calls", ())]
    assert len(set(ids)) == len(ids) == 4


def conversation(count: int, size: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
    ]
    for number in range(count):
        call = {"id": f"c{number}", "function": {"name": "bash", "arguments": "{}"}}
        made.append({"role": "assistant", "content": "", "tool_calls": [call]})
        made.append({"role": "tool", "tool_call_id": f"c{number}", "content": "x" * size})
    return made


def whole(messages: list[dict[str, Any]]) -> int:
    return sum(m["role"] == "tool" and "elided" not in m["content"] for m in messages)


def test_old_outputs_are_masked_in_hops() -> None:
    context = Context()
    assert whole(context.view(conversation(20, 1_000))) == 20
    counts = [whole(context.view(conversation(count, 12_000))) for count in range(20, 31)]
    assert counts == [10, 11, 12, 13, 14, 10, 11, 12, 13, 14, 10]


def test_a_context_that_does_not_fit_is_masked_harder_twice() -> None:
    context, messages = Context(), conversation(20, 1_000)
    assert context.tighten()
    assert whole(context.view(messages)) == 5
    assert context.tighten()
    assert whole(context.view(messages)) == 2
    assert context.view(messages)[:2] == messages[:2]
    assert not context.tighten()
