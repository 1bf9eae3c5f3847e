"""One chat completion, streamed, put together and watched for silence."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from codexsys_agent.door import Door
from codexsys_agent.errors import DoorAnswered, DoorRefused, StreamBroken

_UNFIT = ("context_length_exceeded", "model_refused")
_REFUSALS = {
    "budget_exhausted",
    "calls_exhausted",
    "tokens_exhausted",
    "day_budget_exhausted",
    "day_tokens_exhausted",
    "task_cancelled",
    "token_revoked",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the model's server counted them."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    @property
    def total(self) -> int:
        """All that counts against the limit."""
        return self.prompt + self.completion


@dataclass(slots=True)
class Call:
    """One tool call of a reply."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Reply:
    """One whole reply."""

    content: str = ""
    calls: list[Call] = field(default_factory=list)
    finish_reason: str = ""
    usage: Usage | None = None


def complete(
    door: Door,
    *,
    model: str,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    idle: float,
) -> Reply:
    """Ask once; StreamBroken when the reply ends early or nothing comes for `idle` seconds."""
    request = {
        "model": model,
        "messages": messages,
        **({"tools": tools} if tools else {}),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    try:
        with door.stream("/v1/chat/completions", request, idle=idle) as response:
            return _read(response)
    except TimeoutError as error:
        raise StreamBroken(f"the model was silent for {idle:.0f} s") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StreamBroken(f"the model's reply broke off: {error!r}") from error


def _read(response: http.client.HTTPResponse) -> Reply:
    if "event-stream" not in (response.headers.get("Content-Type") or ""):
        return _whole(json.loads(response.read()))
    reply = Reply()
    for chunk in _chunks(response):
        _add(reply, chunk)
    if not reply.finish_reason:
        raise StreamBroken("the model's reply ended before it was whole")
    return reply


def _chunks(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    while line := response.readline():
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        chunk = json.loads(data)
        if chunk.get("error"):
            raise _error(chunk["error"])
        yield chunk


def _error(error: dict[str, Any]) -> DoorAnswered:
    code, message = str(error.get("code") or ""), str(error.get("message") or error)
    if code in _REFUSALS:
        return DoorRefused(401, code, message, None)
    return DoorAnswered(400 if code in _UNFIT else 502, code, message, None)


def _add(reply: Reply, chunk: dict[str, Any]) -> None:
    if chunk.get("usage"):
        reply.usage = _usage(chunk["usage"])
    for choice in (chunk.get("choices") or [])[:1]:
        delta = choice.get("delta") or {}
        reply.content += delta.get("content") or ""
        for part in delta.get("tool_calls") or []:
            _add_call(reply.calls, part)
        reply.finish_reason = choice.get("finish_reason") or reply.finish_reason


def _add_call(calls: list[Call], part: dict[str, Any]) -> None:
    index = part.get("index")
    if index is None:  # some servers send whole calls without an index
        index = len(calls)
    while len(calls) <= min(index, 63):
        calls.append(Call())
    call, function = calls[min(index, 63)], part.get("function") or {}
    call.id = part.get("id") or call.id
    call.name = function.get("name") or call.name
    call.arguments += function.get("arguments") or ""


def _whole(body: dict[str, Any]) -> Reply:
    choices = body.get("choices") or []
    if not choices:
        raise StreamBroken("the model's reply has no choice")
    message = choices[0].get("message") or {}
    reply = Reply(message.get("content") or "")
    for index, part in enumerate(message.get("tool_calls") or []):
        _add_call(reply.calls, {**part, "index": index})
    reply.finish_reason = choices[0].get("finish_reason") or "stop"
    reply.usage = _usage(body["usage"]) if body.get("usage") else None
    return reply


def _usage(raw: dict[str, Any]) -> Usage:
    details = raw.get("prompt_tokens_details") or {}
    return Usage(
        prompt=int(raw.get("prompt_tokens") or 0),
        completion=int(raw.get("completion_tokens") or 0),
        cached=int(details.get("cached_tokens") or 0),
    )
