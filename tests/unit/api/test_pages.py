"""The pages say what the REST bodies say, whole and safe, for every status and verdict."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from typing_extensions import override

from codexsys_api.pages import PageContext, Pages, diff, shareable, stream_of, tab_of
from codexsys_api.pages.views import STATUSES, TERMINAL, VERDICTS

HOSTILE = '<script>alert("x")</script>\x1b[31m\u202e</textarea>'
VOID = {"meta", "link", "input", "br", "hr", "col", "img"}
TERMINAL_VERDICTS = {
    "verified": "succeeded",
    "unverified": "succeeded",
    "tests_failed": "failed",
    "tests_tampered": "failed",
    "no_change": "failed",
}
ALL_TABS = ("diff", "answer", "log", "conversation", "checks", "files", "details", "share")


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 20, 9, 46, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class Page(HTMLParser):
    """Reads a page strictly: what opens must close, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        assert self.open[-1:] != ["script"], "a script in the page itself"
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages(clock=FixedClock(), version="0.1.0")


@pytest.fixture
def ctx() -> PageContext:
    return PageContext(principal_name="cdx_7k2q", csrf="csrf-token", tenant="harbor", path="/tasks")


def a_task(**changes: Any) -> dict[str, Any]:
    task: dict[str, Any] = {
        "id": "task_01m7w4a5w3e9hv4qk2r8z6tbnx",
        "status": "succeeded",
        "phase": None,
        "progress": 100,
        "attempt": 1,
        "verdict": "verified",
        "prompt": "Honour Retry-After\n\nand add jitter",
        "mode": "modify",
        "source": {
            "git": {"url": "https://joe:hunter2@git.example.org/harbor/tideline.git", "ref": "main"}
        },
        "engine": "builtin",
        "model": "large-coder",
        "labels": {"team": "data"},
        "created_at": "2026-11-20T09:24:00Z",
        "started_at": "2026-11-20T09:24:02Z",
        "finished_at": "2026-11-20T09:31:22Z",
        "queue_position": None,
        "end_reason": {
            "code": "finished",
            "category": "none",
            "cause": "Done.",
            "next": "Read the diff.",
        },
        "questions": [],
        "usage": {
            "calls": 14,
            "input_tokens": 142_310,
            "output_tokens": 9_874,
            "cached_tokens": 0,
            "cost_usd": 0.41,
            "limit_usd": 5.0,
        },
        "plan": [{"step": "Reproduce", "done": True}, {"step": "Mend", "done": False}],
        "checks": {
            "command": "pytest -q",
            "strategy": "full",
            "before": {"passed": 213, "failed": 1},
            "after": {"passed": 223, "failed": 0},
        },
        "diff": {"files": 1, "insertions": 2, "deletions": 1},
        "commit": None,
        "pull_request": None,
        "retry_of": None,
        "links": {"self": "", "html": "", "events": "", "logs": "", "artifacts": ""},
    }
    return task | changes


def running(**changes: Any) -> dict[str, Any]:
    return a_task(
        **{"status": "running", "phase": "coding", "verdict": None, "finished_at": None}
        | {"end_reason": None, "diff": None, "checks": None}
        | changes
    )


def parsed(html: str) -> Page:
    page = Page(html)
    assert all(str(each.get("src")).startswith("/static/") for each in page.all("script"))
    assert all("style" not in attributes for _, attributes in page.tags)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    for form in page.all("form"):
        if form.get("method") == "post":
            assert 'name="csrf" value="csrf-token"' in html
    return page


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


def a_trajectory(said: str) -> bytes:
    calls = [
        {"tool_call_id": "1", "function_name": "bash", "arguments": {"command": said}},
        {"tool_call_id": "2", "function_name": "edit", "arguments": {"path": said, "old": said, "new": "x"}},
        {"tool_call_id": "3", "function_name": said, "arguments": said},
    ]  # fmt: skip
    results = [{"source_call_id": "1", "content": f"{said}\n" * 20}]
    steps = [
        {"source": "system", "message": said},
        {"source": "agent", "message": said, "timestamp": "2026-11-20T09:25:00Z", "tool_calls": calls,
         "observation": {"results": results}, "metrics": {"prompt_tokens": 6204, "completion_tokens": 188}},
    ]  # fmt: skip
    return json.dumps({"steps": steps}).encode()


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


def test_hostile_text_stays_text(pages: Pages, ctx: PageContext) -> None:
    task = a_task(
        prompt=HOSTILE, model=HOSTILE, labels={HOSTILE: HOSTILE},
        source={"git": {"url": HOSTILE, "ref": HOSTILE}},
        plan=[{"step": HOSTILE, "done": False}],
        checks={"command": HOSTILE, "after": {HOSTILE: 1}, "sentences": [HOSTILE], "broken": [HOSTILE]},
        end_reason={"code": HOSTILE, "category": HOSTILE, "cause": HOSTILE, "next": HOSTILE},
    )  # fmt: skip
    artifact = {
        "name": HOSTILE,
        "size": 1,
        "sha256": HOSTILE,
        "url": "/x",
        "content_type": "",
        "expires_at": "",
    }
    event = {
        "id": 1,
        "type": HOSTILE,
        "at": "2026-11-20T09:24:00Z",
        "attempt": 1,
        "data": {HOSTILE: HOSTILE},
    }
    patch = f"diff --git a/{HOSTILE} b/{HOSTILE}\n@@ -1 +1 @@ {HOSTILE}\n-{HOSTILE}\n+{HOSTILE}2\n".encode()
    change = diff.read(patch)
    evil = a_trajectory(HOSTILE)
    for tab in ALL_TABS:
        html = pages.task(
            task, tab, ctx, artifacts=[artifact], events=[event], change=change, trajectory=evil,
            log_tail=(HOSTILE, False), verify_tail=(HOSTILE, False), answer=HOSTILE, new_share_url=HOSTILE, error=HOSTILE,
        )  # fmt: skip
        parsed(html)
        assert "\x1b" not in html
    everything = ["status", "diff", "logs", "report", "prompt", "conversation"]
    parsed(
        pages.share(
            task,
            everything,
            log_tail=(HOSTILE, False),
            change=change,
            report_md=HOSTILE,
            trajectory=evil,
        )
    )
    parsed(pages.tasks([task], HOSTILE, {"label": HOSTILE}, ctx))
    parsed(
        pages.error({"title": HOSTILE, "detail": HOSTILE, "instance": HOSTILE, "status": 404}, ctx)
    )
    parsed(pages.sign_in(HOSTILE, ctx))


def test_a_shared_page_has_no_cost_and_no_prompt(pages: Pages) -> None:
    parts = ["status", "logs", "diff", "report"]
    files = [
        {"name": name, "size": 1, "sha256": "0", "url": f"/s/t/{name}"}
        for name in ("prompt.txt", "diff.patch")
    ]
    html = pages.share(
        a_task(), parts, log_tail=("x", False), report_md="# Report", artifacts=files
    )
    said = parsed(html).text
    for hidden in ("Retry-After", "0.41", "$", "142,310", "prompt.txt", "<form"):
        assert hidden not in html
    assert "Verified" in said
    assert "diff.patch" in said
    assert "Honour Retry-After" in pages.share(a_task(), ["prompt"])
    assert "Verified" not in pages.share(a_task(), ["diff"])


def test_what_a_share_may_show_is_closed() -> None:
    assert shareable("diff.patch", ["diff"])
    assert not shareable("trajectory.json", ["diff", "logs", "report", "status", "prompt"])
    assert not shareable(
        "unknown.bin", ["diff", "logs", "report", "status", "prompt", "conversation"]
    )


def test_share_links_can_be_made_and_revoked(pages: Pages, ctx: PageContext) -> None:
    share = {
        "id": "share_1", "parts": ["status", "diff"], "url": None,
        "created_at": "2026-11-20T09:34:00Z", "expires_at": "2026-11-27T09:34:00Z",
    }  # fmt: skip
    html = pages.task(
        a_task(), "share", ctx, shares=[share], new_share_url="https://c.example.org/s/kQ3v"
    )
    page = parsed(html)
    assert "https://c.example.org/s/kQ3v" in page.text
    assert "/shares/share_1/revoke" in [form.get("action") for form in page.all("form")]
    assert [box.get("value") for box in page.all("input") if box.get("name") == "parts" and "checked" in box] == [
        "status", "diff", "logs", "report",
    ]  # fmt: skip


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


def test_what_was_typed_stays_after_an_error(pages: Pages, ctx: PageContext) -> None:
    typed = {"source": "zip", "prompt": f"\nfirst\r\n{HOSTILE}", "cost_usd": "0", "labels": HOSTILE}
    errors = {
        "cost_usd": "Must be more than 0.",
        "file": "It is no zip.",
        "unknown": "No.",
        "": "Refused.",
    }
    html = pages.submit(typed, errors, ctx, {"models": ["large-coder"], "limits": {"calls": 300}})
    page = parsed(html)
    assert "\u202e" in html  # what was typed is given back as it was
    assert [each.get("id") for each in page.all("input") if "checked" in each] == [
        "src-zip",
        "mode",
    ]
    wrong = {
        each.get("id"): each.get("aria-describedby")
        for each in page.all("input")
        if each.get("aria-invalid")
    }
    assert wrong == {"cost_usd": "cost_usd-e", "zip": "zip-e zip-h"}
    for message in errors.values():
        assert message in page.text


def test_an_empty_form_is_whole(pages: Pages, ctx: PageContext) -> None:
    page = parsed(pages.submit({"task": "task_1"}, {}, ctx, {}))
    names = {each.get("name") for tag in ("input", "textarea", "select") for each in page.all(tag)}
    assert {
        "csrf",
        "source",
        "url",
        "ref",
        "file",
        "task",
        "prompt",
        "mode",
        "engine",
        "model",
        "command",
    } <= names
    assert {
        "strategy",
        "may_change",
        "labels",
        "cost_usd",
        "wall_seconds",
        "calls",
        "attempts",
    } <= names
    assert page.all("form")[-1] == {
        "class": "form", "data-submit": None, "method": "post", "action": "/submit", "enctype": "multipart/form-data",
    }  # fmt: skip


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


def a_large_change(lines: int) -> diff.Diff:
    added = b"".join(b"+<b>line %d</b>\n" % number for number in range(1, lines + 1))
    head = b"diff --git a/big.txt b/big.txt\nnew file mode 100644\n@@ -0,0 +1,%d @@\n" % lines
    return diff.read(head + added)


def rows_of(page: Page) -> list[str]:
    return [str(row.get("id")) for row in page.all("tr") if str(row.get("id")).startswith("f1R")]


def test_a_large_file_is_folded_and_every_line_has_a_way_to_it(
    pages: Pages, ctx: PageContext
) -> None:
    change = a_large_change(5000)
    page = parsed(pages.task(a_task(), "diff", ctx, change=change))
    assert not rows_of(page)
    seen: list[str] = []
    for part in page.all("div"):
        if address := str(part.get("data-more") or ""):
            assert address.startswith(f"/tasks/{a_task()['id']}/diff?file=1&chunk=")
            chunk = int(address.partition("chunk=")[2].partition("&")[0])
            seen += rows_of(parsed(pages.diff_part(change, 1, chunk, "unified")))
    assert seen == [f"f1R{number}" for number in range(1, 5001)]
    assert "<b>line 4999</b>" in parsed(pages.diff_part(change, 1, 12, "split")).words
    assert not pages.diff_part(change, 1, 13, "unified")
    assert not pages.diff_part(change, 2, 0, "unified")
    without_script = parsed(pages.task(a_task(), "diff", ctx, change=change, at=(1, 10)))
    assert "f1R4999" in rows_of(without_script)


def test_side_by_side_has_what_was_removed_beside_what_came_instead(
    pages: Pages, ctx: PageContext
) -> None:
    patch = b"diff --git a/a.py b/a.py\n@@ -1,2 +1,3 @@\n same\n-old = 1\n+new = 1\n+more = 2\n"
    html = pages.task(a_task(), "diff", ctx, change=diff.read(patch), view="split")
    assert '<td class="del"><del>old</del> = ' in html
    assert '<td class="add"><ins>new</ins> = ' in html
    assert html.count('class="n void"') == 1
    assert 'id="f1R3"' in html
    assert "view=unified" in html
