"""An upstream that speaks OpenAI's chat completions."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from codexsys_adapters.models.connection import Endpoint, count, short
from codexsys_core.model import ModelError

_PATH = "/chat/completions"
_MOST_CHOICES = 8
"""One is asked for."""
_WORDS = ("role", "content", "reasoning_content", "reasoning", "refusal")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class ChatModels:
    """`Models` at `<url>/chat/completions`."""

    def __init__(self, endpoint: Endpoint, *, length_field: str = "max_tokens") -> None:
        self._endpoint = endpoint
        self._length_field = length_field

    def stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield chunks; an answer that comes whole is one chunk."""
        body = {**request, "stream": True, "stream_options": {"include_usage": True}}
        if "max_tokens" in body:
            body[self._length_field] = body.pop("max_tokens")
        return _chunks(self._endpoint.events(_PATH, body))


async def _chunks(heard: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    ended = False
    async with aclosing(heard) as events:  # type: ignore[type-var]
        async for event in events:
            if event.get("error"):
                raise ModelError("The model's endpoint failed.", spent=True)
            chunk = _chunk(event)
            ended = ended or any(each["finish_reason"] for each in chunk["choices"])
            if not ended:  # a count in the midst is of a part, and not what will be billed
                chunk["usage"] = None
            yield chunk
    if not ended:
        raise ModelError("The model's answer broke off.", spent=True)


def _chunk(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event built anew, as requests are: what agents know, in the shapes that they expect."""
    created, choices = event.get("created"), event.get("choices")
    listed = choices[:_MOST_CHOICES] if isinstance(choices, list) else ()
    return {
        "id": short(event.get("id")),
        "object": "chat.completion.chunk",
        "created": created if isinstance(created, int) else 0,
        "model": short(event.get("model")),
        "choices": [_choice(each) for each in listed if isinstance(each, dict)],
        "usage": _counts(event.get("usage")),
    }


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    said = choice.get("delta") or choice.get("message")
    said = said if isinstance(said, dict) else {}
    delta = {name: said[name] for name in _WORDS if isinstance(said.get(name), str)}
    calls = said.get("tool_calls")
    if isinstance(calls, list) and calls:
        whole = "message" in choice
        delta["tool_calls"] = [
            _call(call, at if whole else call.get("index"))
            for at, call in enumerate(calls)
            if isinstance(call, dict)
        ]
    reason = choice.get("finish_reason")
    ended = short(reason) if isinstance(reason, str) else None
    return {"index": 0, "delta": delta, "finish_reason": ended}


def _call(call: dict[str, Any], index: Any) -> dict[str, Any]:
    """Return a call, or a part of one. Without an index it is told from others by its id."""
    given = call.get("function")
    function = given if isinstance(given, dict) else {}
    words = function.get("arguments")
    if isinstance(words, dict):  # as some servers say them
        words = json.dumps(words)
    said = {"name": function.get("name"), "arguments": words}
    placed = {"index": index} if isinstance(index, int) else {}
    named = {"id": short(call["id"]), "type": "function"} if call.get("id") else {}
    plain = {name: word for name, word in said.items() if isinstance(word, str)}
    return {**placed, **named, "function": plain}


def _counts(given: Any) -> dict[str, Any] | None:
    """Return what an endpoint counted; None where it counted nothing."""
    if not isinstance(given, dict):
        return None
    counts = {name: given[name] for name in _COUNTS if count(given.get(name)) is not None}
    details = given.get("prompt_tokens_details")
    cached = count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return (
        counts if cached is None else {**counts, "prompt_tokens_details": {"cached_tokens": cached}}
    )
