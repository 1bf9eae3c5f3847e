"""An upstream that speaks OpenAI's chat completions."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from codexsys_adapters.models.connection import Endpoint
from codexsys_core.model import ModelError

_PATH = "/chat/completions"


class ChatModels:
    """`Models` at `<url>/chat/completions`."""

    def __init__(self, endpoint: Endpoint, *, length_field: str = "max_tokens") -> None:
        self._endpoint = endpoint
        self._length_field = length_field

    async def stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield chunks; an answer that comes whole is one chunk."""
        body = {**request, "stream": True, "stream_options": {"include_usage": True}}
        if "max_tokens" in body:
            body[self._length_field] = body.pop("max_tokens")
        ended = False
        async with aclosing(self._endpoint.events(_PATH, body)) as events:  # type: ignore[type-var]
            async for event in events:
                if event.get("error"):
                    raise ModelError("The model's endpoint failed.", spent=True)
                chunk = _chunk(event)
                ended = ended or any(each.get("finish_reason") for each in chunk["choices"])
                yield chunk
        if not ended:
            raise ModelError("The model's answer broke off.", spent=True)


def _chunk(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with nothing in it of a shape that nobody expects."""
    listed = event.get("choices")
    choices = (
        [_choice(each) for each in listed or () if isinstance(each, dict)]
        if isinstance(listed, list)
        else []
    )
    usage = event.get("usage")
    chunk = {**event, "object": "chat.completion.chunk", "choices": choices}
    return chunk | {"usage": usage if isinstance(usage, dict) else None}


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    said = choice.get("delta") or choice.get("message")
    delta = dict(said) if isinstance(said, dict) else {}
    calls = delta.pop("tool_calls", None)
    if isinstance(calls, list) and calls:
        whole = "message" in choice
        delta["tool_calls"] = [
            {"index": at, **call} if whole else call
            for at, call in enumerate(calls)
            if isinstance(call, dict)
        ]
    kept = {name: part for name, part in choice.items() if name not in ("delta", "message")}
    return {"index": 0, **kept, "delta": delta}
