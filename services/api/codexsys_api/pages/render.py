"""Renders the pages from plain data; knows nothing of requests, stores or time but its clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from codexsys_api.condition import PartShown
from codexsys_api.pages import forms, log, phases, talk, text, views
from codexsys_api.pages import usage as use
from codexsys_api.pages.diff import Diff
from codexsys_api.pages.review import Place, Review
from codexsys_core.clock import Clock
from codexsys_core.event import EventType

Json = Mapping[str, Any]

TABS = ("diff", "answer", "log", "conversation", "checks", "files", "details", "share")
STREAMS = ("setup", "agent", "verify")
SHARE_PARTS = {
    "status": "Status and verdict",
    "diff": "Diff",
    "logs": "Log",
    "report": "Report",
    "prompt": "Prompt",
    "conversation": "Conversation",
}
_SHARED_FILES = {
    "setup.log": "logs",
    "agent.log": "logs",
    "verify.log": "logs",
    "diff.patch": "diff",
    "report.md": "report",
    "answer.md": "report",
    "prompt.txt": "prompt",
    "llm_response.txt": "conversation",
    "calls.jsonl": "conversation",
    "trajectory.json": "conversation",
}
REFRESH_SECONDS = 3
SHOWN_LINES = 500


@dataclass(frozen=True, slots=True)
class PageContext:
    """Who looks at a page: without a principal the page has no menu."""

    principal_name: str
    csrf: str
    tenant: str
    path: str
    admin: bool = False
    """Whether the visitor may manage keys."""


def _finalize(value: object) -> object:
    """Make control characters visible in all that is printed; what is markup already has none."""
    return (
        text.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
    )


def tab_of(task: Json, requested: str | None) -> str:
    """Choose the tab: the one asked for, or else what matters most now."""
    explain = task.get("mode") == "explain"
    if requested in TABS and requested != ("diff" if explain else "answer"):
        return str(requested)
    if not views.is_terminal(task):
        return "log"
    if explain:
        return "answer"
    return "diff" if (task.get("diff") or {}).get("files") else "log"


def stream_of(task: Json, requested: str | None) -> str:
    """Choose the log stream: the one asked for, or else the one of the phase."""
    if requested in STREAMS:
        return str(requested)
    return {"cloning": "setup", "setup": "setup", "testing": "verify"}.get(
        str(task.get("phase") or ""), "agent"
    )


def shareable(name: str, parts: Collection[str]) -> bool:
    """Say whether a share link with these parts may show an artifact; unknown names it may not."""
    return _SHARED_FILES.get(name) in parts


def _log(tail: tuple[str, bool]) -> log.Log:
    """Read the end of a log, as much as a page has before its script gets the rest."""
    return log.read(tail[0], SHOWN_LINES, cut=tail[1])


def _review(task: Json, change: Diff, view: str, at: tuple[int, int]) -> Review:
    here = f"/tasks/{task['id']}"
    return Review(change, Place(f"{here}?tab=diff", f"{here}/diff"), view, *at)


class Pages:
    """All pages as functions of data to HTML."""

    def __init__(self, *, clock: Clock, version: str = "") -> None:
        self._clock = clock
        self._env = Environment(
            loader=PackageLoader("codexsys_api.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters["kept"] = escape
        self._env.globals |= {"v": views, "t": text, "version": version}

    def _render(self, template: str, ctx: PageContext | None, **values: Any) -> str:
        return self._env.get_template(template).render(ctx=ctx, now=self._clock.now(), **values)

    def sign_in(self, error: str | None, ctx: PageContext | None = None) -> str:
        """Ask for an API key."""
        return self._render("sign_in.html", ctx, error=error)

    def submit(
        self,
        form: Mapping[str, str],
        errors: Mapping[str, str],
        ctx: PageContext,
        options: Json,
        checked: Json | None = None,
    ) -> str:
        """Ask for a task; what was typed stays, errors stand beside their fields."""
        return self._render(
            "submit.html",
            ctx,
            form=form,
            errors=errors,
            options=options,
            checked=checked,
            templates=forms.TEMPLATES,
            limits_changed=any(form.get(name) for name in forms.LIMITS),
            limits_wrong=any(name in errors for name in forms.LIMITS),
        )

    def tasks(
        self,
        items: Sequence[Json],
        next_cursor: str | None,
        filters: Mapping[str, str],
        ctx: PageContext,
        *,
        through: str = "",
        counts: Mapping[str, int] | None = None,
        newer: int = 0,
        errors: Mapping[str, str] | None = None,
    ) -> str:
        """List tasks; the list as it was when it began at `through`, and how many are newer."""
        kept = {name: value for name, value in filters.items() if value}
        first = items[0]["id"].rpartition("_")[2] if items else ""
        again = kept if kept.get("cursor") else kept | {"through": through or first}
        return self._render(
            "tasks.html",
            ctx,
            items=items,
            next_cursor=next_cursor,
            filters=kept,
            again={name: value for name, value in again.items() if value},
            counts=counts or {},
            newer=newer,
            errors=errors or {},
            moving=any(not views.is_terminal(each) for each in items),
        )

    def task(
        self,
        task: Json,
        tab: str | None,
        ctx: PageContext,
        *,
        artifacts: Sequence[Json] = (),
        shares: Sequence[Json] = (),
        log_tail: tuple[str, bool] = ("", False),
        log_stream: str | None = None,
        change: Diff | None = None,
        view: str = "",
        at: tuple[int, int] = (0, 0),
        events: Sequence[Json] = (),
        moves: Sequence[Json] = (),
        verify_tail: tuple[str, bool] = ("", False),
        trajectory: bytes = b"",
        messages: Sequence[Json] = (),
        new_share_url: str | None = None,
        answer: str = "",
        live: bool = True,
        error: str | None = None,
    ) -> str:
        """Show one task, one tab of it."""
        chosen = tab_of(task, tab)
        moving = not views.is_terminal(task)
        return self._render(
            "task.html",
            ctx,
            task=task,
            phases=phases.phases(task, moves, self._clock.now()),
            tab=chosen,
            artifacts=artifacts,
            shares=shares,
            log=_log(log_tail),
            log_stream=stream_of(task, log_stream),
            streams=STREAMS,
            review=_review(task, change or Diff(()), view, at) if chosen == "diff" else None,
            events=events,
            talk=talk.steps(task, trajectory, events, messages) if chosen == "conversation" else (),
            verify_log=_log(verify_tail) if chosen == "checks" else None,
            new_share_url=new_share_url,
            share_parts=SHARE_PARTS,
            answer=answer,
            live=moving and live and chosen != "share",
            moving=moving,
            error=error,
            refresh_seconds=REFRESH_SECONDS,
            event_types=[each.value for each in EventType],
        )

    def share(
        self,
        task: Json,
        parts: Sequence[str],
        *,
        log_tail: tuple[str, bool] | None = None,
        log_stream: str | None = None,
        change: Diff | None = None,
        view: str = "",
        at: tuple[int, int] = (0, 0),
        below: str = "",
        report_md: str | None = None,
        artifacts: Sequence[Json] = (),
        trajectory: bytes | None = None,
        messages: Sequence[Json] = (),
        events: Sequence[Json] = (),
        moves: Sequence[Json] = (),
        expires_at: str | None = None,
    ) -> str:
        """Show what a share link shows: its parts, never the cost, the prompt only when named."""
        return self._render(
            "share.html",
            None,
            task=task,
            phases=phases.phases(task, moves, self._clock.now()),
            parts=frozenset(parts),
            log=_log(log_tail) if log_tail and "logs" in parts else None,
            log_stream=stream_of(task, log_stream),
            streams=STREAMS,
            below=below,
            review=Review(change, Place(below, f"{below}/diff"), view, *at)
            if change and "diff" in parts
            else None,
            report=report_md if "report" in parts else None,
            talk=talk.steps(task, trajectory or b"", events, messages)
            if "conversation" in parts
            else (),
            artifacts=[each for each in artifacts if shareable(each["name"], parts)],
            expires_at=expires_at,
            moving=not views.is_terminal(task),
            refresh_seconds=REFRESH_SECONDS,
        )

    def diff_part(self, change: Diff, number: int, chunk: int, view: str) -> str:
        """Show one chunk of one file by itself; nothing where there is none."""
        if not 0 < number <= len(change.files):
            return ""
        file = change.files[number - 1]
        if not 0 <= chunk < len(file.starts):
            return ""
        found = Review(change, Place("", ""), view).one(number, file, chunk)
        return self._render("diff_part.html", None, chunk=found, number=number, path=file.path)

    def keys(
        self,
        items: Sequence[Json],
        ctx: PageContext,
        *,
        new_key: str = "",
        form: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
    ) -> str:
        """List keys; a new one is shown once."""
        return self._render(
            "keys.html", ctx, items=items, new_key=new_key, form=form or {}, errors=errors or {}
        )

    def environments(
        self,
        items: Sequence[Json],
        ctx: PageContext,
        *,
        form: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
    ) -> str:
        """List environments."""
        return self._render(
            "environments.html", ctx, items=items, form=form or {}, errors=errors or {}
        )

    def health(self, ready: bool, parts: Sequence[PartShown], ctx: PageContext | None) -> str:
        """Say which parts answer; of the others since when, and what helps."""
        return self._render("health.html", ctx, ready=ready, parts=parts)

    def usage(self, usage: Json, ctx: PageContext, *, label: str = "", wrong: str = "") -> str:
        """Show what was used, by day and by label, drawn and as tables."""
        drawn = use.shown(usage)
        asked = {"usage": usage, "label": label, "wrong": wrong, "ranges": use.RANGES}
        return self._render("usage.html", ctx, shown=drawn, u=use, **asked)

    def error(self, problem: Json, ctx: PageContext | None = None) -> str:
        """Show a problem document."""
        return self._render("error.html", ctx, problem=problem)
