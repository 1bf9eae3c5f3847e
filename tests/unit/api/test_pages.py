"""The pages say what the REST bodies say, whole, for every status and verdict."""

from typing import Any

import pytest
from tests.unit.api.shown import ALL_TABS, a_task, parsed, running

from codexsys_api.pages import PageContext, Pages, stream_of, tab_of
from codexsys_api.pages.views import STATUSES, TERMINAL, VERDICTS

TERMINAL_VERDICTS = {
    "verified": "succeeded",
    "unverified": "succeeded",
    "tests_failed": "failed",
    "tests_tampered": "failed",
    "no_change": "failed",
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("tab", ALL_TABS)
def test_every_status_renders_on_every_tab(
    pages: Pages, ctx: PageContext, status: str, tab: str
) -> None:
    reason = {"code": "x", "category": "user", "cause": "The cause.", "next": "The advice."}
    task = a_task(status=status, verdict=None, end_reason=reason if status in TERMINAL else None)
    page = parsed(pages.task(task, tab, ctx))
    assert STATUSES[status] in page.text
    refreshes = [each for each in page.all("meta") if each.get("http-equiv") == "refresh"]
    still = {*TERMINAL, "suspended"}  # nobody's answer is taken away while it is written
    assert bool(refreshes) == (status not in still and tab != "share")


@pytest.mark.parametrize(("verdict", "status"), TERMINAL_VERDICTS.items())
def test_every_verdict_renders(pages: Pages, ctx: PageContext, verdict: str, status: str) -> None:
    task = a_task(verdict=verdict, status=status)
    for html in (
        pages.task(task, None, ctx),
        pages.tasks([task], None, {}, ctx),
        pages.share(task, ["status"]),
    ):
        page = parsed(html)
        assert VERDICTS[verdict] in page.text
        assert {"data-is": verdict} in [{"data-is": each.get("data-is")} for _, each in page.tags]


def test_only_verified_claims_the_proof_of_verified(pages: Pages, ctx: PageContext) -> None:
    assert "planted failing test" in pages.task(a_task(), None, ctx)
    for verdict, status in list(TERMINAL_VERDICTS.items())[1:]:
        assert "planted failing test" not in pages.task(
            a_task(verdict=verdict, status=status), None, ctx
        )


def test_a_task_shows_its_counts_and_numbers(pages: Pages, ctx: PageContext) -> None:
    said = parsed(pages.task(a_task(), None, ctx)).text
    for words in (
        "Honour Retry-After",
        "harbor/tideline",
        "$0.41 of $5.00",
        "7 min 20 s",
        "223",
        "213",
    ):
        assert words in said
    assert "hunter2" not in pages.task(a_task(), "details", ctx)


def test_a_running_task_can_be_cancelled_and_an_ended_one_retried(
    pages: Pages, ctx: PageContext
) -> None:
    actions = [form.get("action") for form in parsed(pages.task(running(), None, ctx)).all("form")]
    assert "/tasks/task_01m7w4a5w3e9hv4qk2r8z6tbnx/cancel" in actions
    actions = [form.get("action") for form in parsed(pages.task(a_task(), None, ctx)).all("form")]
    assert "/tasks/task_01m7w4a5w3e9hv4qk2r8z6tbnx/retry" in actions


def test_each_phase_has_its_time(pages: Pages, ctx: PageContext) -> None:
    def move(kind: str, at: str, phase: str = "") -> dict[str, Any]:
        return {"type": kind, "at": f"2026-11-20T09:{at}Z", "data": {"phase": phase}}

    moves = [
        move("task.phase", "24:02", "cloning"),
        move("task.phase", "24:05", "setup"),
        move("task.phase", "24:46", "analyzing"),
        move("task.attempt_ended", "25:00"),
        move("task.phase", "30:00", "analyzing"),
        move("task.phase", "30:14", "coding"),
    ]
    running = a_task(status="running", phase="coding", verdict=None, finished_at=None)
    page = parsed(pages.task(running, "log", ctx, moves=moves))
    for said in (
        "Cloning 3 s",
        "Setup 41 s",
        "Analyzing 28 s",
        "Coding 15 min 46 s",
        "Testing Committing",
    ):
        assert said in page.text
    grows = [each["data-since"] for each in page.all("small") if "data-since" in each]
    assert grows == ["2026-11-20T09:30:14+00:00"]
    ended = [*moves, move("task.succeeded", "31:22")]
    assert "Coding 1 min 08 s" in parsed(pages.task(a_task(), "details", ctx, moves=ended)).text


def test_refreshing_can_be_stopped(pages: Pages, ctx: PageContext) -> None:
    assert "http-equiv" not in pages.task(running(), "log", ctx, live=False)


def test_the_tab_follows_the_task() -> None:
    assert tab_of(running(), None) == "log"
    assert tab_of(a_task(), None) == "diff"
    assert tab_of(a_task(mode="explain", verdict=None), None) == "answer"
    assert tab_of(a_task(mode="explain"), "diff") == "answer"
    assert tab_of(a_task(), "nonsense") == "diff"
    assert tab_of(a_task(diff=None), "") == "log"
    assert (stream_of(running(phase="setup"), None), stream_of(running(), None)) == (
        "setup",
        "agent",
    )
    assert stream_of(running(), "verify") == "verify"


def test_an_explanation_shows_its_answer(pages: Pages, ctx: PageContext) -> None:
    task = a_task(mode="explain", verdict=None, checks=None, diff=None)
    said = parsed(pages.task(task, None, ctx, answer="A lease is <taken> over.")).text
    assert "Answer" in said
    assert "A lease is <taken> over." in said


def test_lists_may_be_empty(pages: Pages, ctx: PageContext) -> None:
    assert "No tasks yet" in parsed(pages.tasks([], None, {}, ctx)).text
    assert "No task matches" in parsed(pages.tasks([], None, {"status": "failed"}, ctx)).text
    assert "This task left no artifacts" in parsed(pages.task(a_task(), "files", ctx)).text
    assert "No event yet" in parsed(pages.task(a_task(), "details", ctx)).text


def test_the_list_keeps_its_filters_on_the_next_page(pages: Pages, ctx: PageContext) -> None:
    page = parsed(pages.tasks([a_task()], "c&2", {"status": "failed", "label": "team=web"}, ctx))
    older = [each.get("href") for each in page.all("a") if each.get("rel") == "next"]
    assert older == ["/tasks?status=failed&label=team%3Dweb&cursor=c%262"]


def test_the_list_says_what_a_task_is_doing(pages: Pages, ctx: PageContext) -> None:
    asked = {"id": "q_1", "text": "?", "answer": None, "deadline": "2026-11-21T07:12:00Z"}
    tasks = [
        a_task(status="running", phase="coding", verdict=None, finished_at=None),
        a_task(status="suspended", verdict=None, questions=[asked]),
        a_task(verdict="tests_failed", status="failed"),
    ]
    counts = {"running": 1, "failed": 1000}
    shown = parsed(pages.tasks(tasks, None, {}, ctx, counts=counts, newer=2)).text
    for said in ("coding, 21 min", "until 21 Nov, 07:12", "All 999+", "Failed 999+", "Running 1"):
        assert said in shown
    assert "2 newer tasks: show them" in shown


def test_sign_in_and_errors_need_nobody(pages: Pages) -> None:
    assert (
        "Sign in" in parsed(pages.sign_in(None, PageContext("", "csrf-token", "", "/sign-in"))).text
    )
    problem = {"title": "Not found", "status": 404, "code": "not_found", "request_id": "req_1"}
    said = parsed(pages.error(problem, None)).text
    assert "Not found" in said
    assert "req_1" in said


def test_a_verdict_says_what_was_found(pages: Pages, ctx: PageContext) -> None:
    found = {
        "sentences": ["1 test did not run: tests/test_a.py::test_b."],
        "missing": ["tests/test_a.py::test_b"],
    }
    task = a_task(
        verdict="tests_failed", status="failed", checks={"command": "pytest"}, evidence=found
    )
    assert found["sentences"][0] in parsed(pages.task(task, "log", ctx)).text
    assert "Passed before, did not run after" in parsed(pages.task(task, "checks", ctx)).text
    assert "1 test no longer there" in pages.task(
        task | {"evidence": {"missing": ["x"]}}, "log", ctx
    )
