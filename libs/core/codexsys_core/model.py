"""What answers model calls: an upstream endpoint, or the shipped scripted one."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from codexsys_core.errors import PlatformError


class ModelError(PlatformError):
    """The upstream did not give an answer, or not a whole one.

    Codes: model_unavailable (down, too slow, 5xx), model_auth (401, 402, 403), model_unknown (404),
    model_refused (400 and the like), context_length_exceeded, model_busy (429).
    `spent` says that the call may have been paid for all the same.
    """

    default_code = "model_unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        spent: bool = False,
    ) -> None:
        super().__init__(message, code=code, retry_after=retry_after)
        self.spent = spent


class Models(Protocol):
    """One upstream. Requests are chat completions in OpenAI's shape, built by the gateway.

    Each call is one try: what to do about a failure is the gateway's to decide. An iterator that is
    closed, or whose task is cancelled, ends the call at the upstream.
    """

    def stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Write a request, and yield chunks, the last ones with finish_reason and usage.

        Nothing is sent, and nothing to be paid, before the first chunk is asked for. Raises `ModelError`.
        """


def whole(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the completion that a stream's chunks add up to."""
    head = chunks[0] if chunks else {}
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {
        "id": head.get("id", ""),
        "object": "chat.completion",
        "created": head.get("created", 0),
        "model": head.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": None}],
    }
    for chunk in chunks:
        if chunk.get("usage"):
            answer["usage"] = chunk["usage"]
        for choice in chunk.get("choices") or []:
            _add(message, calls, choice.get("delta") or {})
            if choice.get("finish_reason"):
                answer["choices"][0]["finish_reason"] = choice["finish_reason"]
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return answer


def _add(message: dict[str, Any], calls: dict[int, dict[str, Any]], delta: dict[str, Any]) -> None:
    for name in ("content", "reasoning_content", "refusal"):
        if isinstance(delta.get(name), str):
            message[name] = (message.get(name) or "") + delta[name]
    for part in delta.get("tool_calls") or []:
        index = part.get("index")
        if not isinstance(index, int):  # some servers send whole calls without one
            index = len(calls) if part.get("id") or not calls else max(calls)
        call = calls.setdefault(
            index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        function = part.get("function") or {}
        call["id"] = part.get("id") or call["id"]
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""
