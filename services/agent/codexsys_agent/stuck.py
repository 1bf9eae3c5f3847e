"""Notices when a model goes in circles: first a nudge, then the end."""

import hashlib
import json
from collections.abc import Callable

from codexsys_agent.chat import Call
from codexsys_agent.tools import Done

_NUDGE_REPEATS, _STOP_REPEATS = 3, 5
_ALTERNATIONS = 6
_EMPTY_REPLIES = 3
_FAILING_CALLS = 6
_NOTHING_NEW = 25


class Stuck(Exception):
    """The model goes in circles; the text says how."""


class StuckWatch:
    """Fed each reply with its results; says a nudge, nothing, or raises Stuck."""

    def __init__(self, tree: Callable[[], str]) -> None:
        self._tree = tree
        self._last_tree = ""
        self._steps: list[str] = []
        self._seen: set[str] = set()
        self._stale = 0
        self._empty = 0
        self._failing = 0

    def no_call(self) -> None:
        """A reply without any tool call."""
        self._empty += 1
        if self._empty >= _EMPTY_REPLIES:
            raise Stuck(f"{_EMPTY_REPLIES} replies in a row called no tool")

    def step(self, calls: list[Call], results: list[Done]) -> str:
        """One step; the nudge to give, or nothing."""
        self._empty = 0
        for done in results:
            self._failing = 0 if done.ok else self._failing + 1
        if self._failing >= _FAILING_CALLS:
            raise Stuck(f"{_FAILING_CALLS} tool calls in a row failed")
        mark = _mark(calls, results)
        self._steps.append(mark)
        return self._repeats(mark) or self._staleness(_mark(calls, []))

    def _repeats(self, mark: str) -> str:
        last = self._steps
        if last[-_STOP_REPEATS:] == [mark] * _STOP_REPEATS:
            raise Stuck(f"the same call gave the same result {_STOP_REPEATS} times")
        if len(last) >= 2 * _ALTERNATIONS and last[-2 * _ALTERNATIONS :] == (
            last[-2:] * _ALTERNATIONS
        ):
            raise Stuck(f"the same two calls alternated {_ALTERNATIONS} times")
        if last[-_NUDGE_REPEATS:] == [mark] * _NUDGE_REPEATS:
            return "The same call gave the same result 3 times. Do something else."
        return ""

    def _staleness(self, mark: str) -> str:
        """Count steps that neither asked anything new nor changed the tree, whatever they printed."""
        known = mark in self._seen
        self._seen.add(mark)
        if not known or self._tree_moved():
            self._stale = 0
            return ""
        self._stale += 1
        if self._stale >= _NOTHING_NEW + _EMPTY_REPLIES:
            raise Stuck(f"nothing new in {self._stale} steps")
        if self._stale == _NOTHING_NEW:
            return "Nothing new was learned or changed for a while. Change course or finish."
        return ""

    def _tree_moved(self) -> bool:
        # A walk over all files: only made where a call comes again.
        before, self._last_tree = self._last_tree, self._tree()
        return before != self._last_tree


def _mark(calls: list[Call], results: list[Done]) -> str:
    said = [[call.name, call.arguments] for call in calls]
    text = json.dumps([said, [done.output for done in results]])
    return hashlib.sha256(text.encode()).hexdigest()
