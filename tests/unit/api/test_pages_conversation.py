"""What agents did and ask, as the pages tell it."""

from typing import Any

import pytest
from tests.unit.api.shown import a_task, a_trajectory, parsed, running

from codexsys_api.pages import PageContext, Pages


def test_the_conversation_has_each_step_with_its_commands_and_edits(
    pages: Pages, ctx: PageContext
) -> None:
    asked = {
        "id": 2,
        "type": "task.question",
        "at": "2026-11-20T09:26:00Z",
        "attempt": 1,
        "data": {"question": "q_1"},
    }
    checked = {"id": 3, "type": "verify.result", "at": "2026-11-20T09:27:00Z", "attempt": 1,
               "data": {"verdict": "verified", "after": {"passed": 3}}}  # fmt: skip
    html = pages.task(
        a_task(questions=[{"id": "q_1", "text": "Wait?", "answer": "no"}]),
        "conversation",
        ctx,
        trajectory=a_trajectory("make"),
        events=[asked, checked],
    )
    said = parsed(html).text
    for words in (
        "$ make",
        "edit make",
        "6,204 in, 188 out",
        "8 more lines",
        "given first",
        "Wait?",
        "After: 3 passed",
    ):
        assert words in said, words
    assert said.index("8 more lines") < said.index("Wait?") < said.index("After: 3 passed")


def test_an_agent_at_work_is_followed_by_its_events(pages: Pages, ctx: PageContext) -> None:
    at = {"at": "2026-11-20T09:26:00Z", "attempt": 1}
    events = [
        {"id": 1, "type": "agent.step", "data": {"step": 1, "text": "I look first."}} | at,
        {"id": 2, "type": "agent.tool", "data": {"step": 1, "tool": "bash", "summary": "ls", "seconds": 0.1}} | at,
    ]  # fmt: skip
    said = parsed(pages.task(running(), "conversation", ctx, events=events)).text
    assert "I look first." in said
    assert "bash ls (0.1 s)" in said


@pytest.mark.parametrize(
    "odd",
    [b"", b"[", b"[]", b"1", b'{"steps": 1}', b'{"steps": [1, null, {"source": "agent"}]}', b"[" * 100_000,
     b'{"steps": [{"source": "agent", "message": 1, "timestamp": "never", "tool_calls": [{"arguments": 1}, 2]}]}',
     b'{"steps": [{"source": "agent", "metrics": [], "observation": [], "timestamp": {"a": 1}}]}', b"\xff"],
)  # fmt: skip
def test_a_broken_trajectory_breaks_nothing(pages: Pages, ctx: PageContext, odd: bytes) -> None:
    assert "Prompt" in parsed(pages.task(a_task(), "conversation", ctx, trajectory=odd)).text


def a_question(number: int, **more: Any) -> dict[str, Any]:
    base = {"id": f"qst_{number}", "text": f"Really {number}?", "options": [], "default": "no"}
    return base | {"deadline": "2026-11-28T12:00:00Z", "answer": None} | more


def test_an_open_question_is_shown(pages: Pages, ctx: PageContext) -> None:
    asked = [a_question(1), a_question(2, answer="yes")]
    page = parsed(pages.task(running(status="suspended", questions=asked), None, ctx))
    assert "Really 1?" in page.text
    assert "it takes the default." in page.text
    assert "Send answer" in page.text
    assert "Really 2?" not in page.text


def test_open_questions_are_answered_by_one_form(pages: Pages, ctx: PageContext) -> None:
    asked = [
        a_question(1, options=["red", "blue"], default="blue"),
        a_question(2),
        a_question(3, default=None),
    ]
    page = parsed(pages.task(running(status="suspended", questions=asked), None, ctx))
    assert "The agent asks 3 questions" in page.text
    assert "the task ends." in page.text
    (form,) = (form for form in page.all("form") if str(form.get("action")).endswith("/answers"))
    assert form["method"] == "post"
    inputs = page.all("input")
    assert [each["value"] for each in inputs if each.get("name") == "question"] == [
        each["id"] for each in asked
    ]
    assert [
        each["value"] for each in inputs if each.get("type") == "radio" and "checked" in each
    ] == ["blue"]
    words = [each for each in inputs if str(each.get("name")).startswith("words-")]
    assert [each["name"] for each in words] == [f"words-{each['id']}" for each in asked]
    assert not any("required" in each for each in words)  # what is left empty stays open
