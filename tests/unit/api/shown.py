"""Tasks as the REST API tells them to the pages, and a strict reader of what the pages make of them."""

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from typing_extensions import override

HOSTILE = '<script>alert("x")</script>\x1b[31m\u202e</textarea>'
VOID = {"meta", "link", "input", "br", "hr", "col", "img"}
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


def parsed(html: str) -> Page:
    page = Page(html)
    assert all(str(each.get("src")).startswith("/static/") for each in page.all("script"))
    assert all("style" not in attributes for _, attributes in page.tags)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    for form in page.all("form"):
        if form.get("method") == "post":
            assert 'name="csrf" value="csrf-token"' in html
    return page
