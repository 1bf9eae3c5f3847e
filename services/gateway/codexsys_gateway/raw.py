"""The raw record of model calls: what was asked and answered, as lines of JSON, each message once."""

import hashlib
from typing import Any, NamedTuple

from codexsys_core.task import Usage
from codexsys_gateway.streams import compact
from codexsys_gateway.transcript import Transcript

MOST_LINE_BYTES = 1024 * 1024
"""Of one call; a longer one says how long its messages were."""
MOST_KNOWN = 512
"""Sandboxes whose last call is remembered. Who is forgotten is written down whole once more."""


class Asked(NamedTuple):
    """What a call was asked with, by digest."""

    number: int
    messages: tuple[bytes, ...]
    options: bytes


class Raw:
    """Makes lines of calls. A conversation grows by its end, so a line has what its last one had not."""

    def __init__(self) -> None:
        self._last: dict[str, Asked] = {}

    def line(
        self,
        sandbox_id: str,
        number: int,
        request: dict[str, Any],
        transcript: Transcript,
        outcome: str,
    ) -> bytes:
        """Return a call's line."""
        usage = transcript.usage or Usage()
        head = {"v": 1, "number": number, "model": transcript.model, "outcome": outcome}
        if not transcript.heard:  # and so not paid: nobody fills a record for nothing
            return _bytes(head)
        counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        said = {"answer": transcript.answer, "usage": counts if transcript.usage else None}
        line = _bytes({**head, **self._new(sandbox_id, number, request), **said})
        if len(line) <= MOST_LINE_BYTES:
            return line
        self._last.pop(sandbox_id, None)
        return _bytes({**head, "left_out_bytes": len(line), "usage": said["usage"]})

    def _new(self, sandbox_id: str, number: int, request: dict[str, Any]) -> dict[str, Any]:
        """Return what of a request is new, with the call that had the rest."""
        messages = request["messages"]
        options = {name: value for name, value in request.items() if name != "messages"}
        asked = Asked(number, tuple(_digest(each) for each in messages), _digest(options))
        last = self._last.pop(sandbox_id, None)
        if len(self._last) >= MOST_KNOWN:
            self._last.pop(next(iter(self._last)))
        self._last[sandbox_id] = asked
        if last is None:
            return {"messages": messages, "options": options}
        same = _same(last.messages, asked.messages)
        new: dict[str, Any] = {"as": last.number, "same": same, "messages": messages[same:]}
        return new if last.options == asked.options else {**new, "options": options}


def _same(some: tuple[bytes, ...], others: tuple[bytes, ...]) -> int:
    """Return how many begin both."""
    pairs = enumerate(zip(some, others, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(some), len(others)))


def _digest(value: Any) -> bytes:
    return hashlib.sha256(_bytes(value)).digest()


def _bytes(value: Any) -> bytes:
    """Return a line of JSON, in which half a character is written out."""
    return compact(value).encode() + b"\n"
