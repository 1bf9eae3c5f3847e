"""An upstream that speaks Anthropic's Messages: chat requests in its words, its events as chat chunks."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

from codexsys_adapters.models.connection import Endpoint, count, short
from codexsys_core.model import ModelError

VERSION = "2023-06-01"
_PATH = "/messages"
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
_KEPT = {"type": "ephemeral"}
"""Marks what the endpoint may keep, so that the next call reads it at a lower price."""
_NOTHING = "(nothing)"
Block = dict[str, Any]


class MessagesModels:
    """`Models` at `<url>/messages`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield chunks, the last one with usage."""
        return _chunks(self._endpoint.events(_PATH, as_messages(request)))


async def _chunks(heard: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    answer = _Answer()
    async with aclosing(heard) as events:  # type: ignore[type-var]
        async for event in events:
            for chunk in answer.heard(event):
                yield chunk
    if not answer.ended:
        raise ModelError("The model's answer broke off.", spent=True)


def as_messages(request: dict[str, Any]) -> dict[str, Any]:
    """Return a chat request in the words of Messages."""
    system = [
        block
        for message in request["messages"]
        if message["role"] == "system"
        for block in _blocks(message.get("content"))
    ]
    body: dict[str, Any] = {
        "model": request["model"],
        "max_tokens": request["max_tokens"],
        "messages": _turns(request["messages"]),
        "stream": True,
    }
    if system:
        body["system"] = [*system[:-1], {**system[-1], "cache_control": _KEPT}]
    if request.get("tools"):
        body["tools"] = [_tool(tool["function"]) for tool in request["tools"]]
        body["tool_choice"] = _choice(request)
    for name in ("temperature", "top_p"):
        if name in request:
            body[name] = min(max(request[name], 0), 1)
    if "stop" in request:
        stop = request["stop"]
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    return body


def _turns(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return user and assistant in turn, the user first; answers of tools are the user's."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "system":
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        if not turns and role == "assistant":
            turns.append({"role": "user", "content": [_words(_NOTHING)]})
        if not turns or turns[-1]["role"] != role:
            turns.append({"role": role, "content": []})
        turns[-1]["content"] += _of_message(message)
    for turn in turns:
        turn["content"] = turn["content"] or [_words(_NOTHING)]
    if turns:
        turns[-1]["content"][-1] = {**turns[-1]["content"][-1], "cache_control": _KEPT}
    return turns


def _of_message(message: dict[str, Any]) -> list[Block]:
    blocks = _blocks(message.get("content"))
    if message["role"] == "tool":
        said = {"tool_use_id": message.get("tool_call_id", ""), "content": blocks}
        return [{"type": "tool_result", **said}]
    calls = [
        {
            "type": "tool_use",
            "id": call["id"],
            "name": call["function"]["name"],
            "input": _arguments(call["function"]["arguments"]),
        }
        for call in message.get("tool_calls") or []
    ]
    return blocks + calls


def _blocks(content: Any) -> list[Block]:
    """Return content as blocks; empty text is refused there."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    return [_block(part) for part in parts if part["type"] != "text" or part["text"].strip()]


def _block(part: dict[str, Any]) -> Block:
    if part["type"] == "text":
        return _words(part["text"])
    kind, _, data = part["image_url"]["url"].removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _words(text: str) -> Block:
    return {"type": "text", "text": text}


def _arguments(text: str) -> dict[str, Any]:
    """Return arguments as an object; what the model once wrote wrongly is shown to it as it was."""
    try:
        found = json.loads(text or "{}")
        json.dumps(found, allow_nan=False)  # a number may be none that others read
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"malformed": text}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    said = {"description": function["description"]} if function.get("description") else {}
    return {"name": function["name"], **said, "input_schema": schema}


def _choice(request: dict[str, Any]) -> dict[str, Any]:
    choice = request.get("tool_choice", "auto")
    if isinstance(choice, dict):
        chosen = {"type": "tool", "name": choice["function"]["name"]}
    else:
        chosen = {"type": _CHOICES[choice]}
    if request.get("parallel_tool_calls") is False and chosen["type"] != "none":
        return {**chosen, "disable_parallel_tool_use": True}
    return chosen


class _Answer:
    """One answer, as its events come."""

    def __init__(self) -> None:
        self.ended = False
        self._head: dict[str, Any] = {}
        self._calls: dict[int, int] = {}
        self._silent: set[int] = set()
        """Calls that have said no argument yet."""
        self._counts: dict[str, int] = {}
        self._counted = False
        """Whether the last word on the output has come: the first one is said before any of it."""

    def heard(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the chunks that an event comes to."""
        kind = event.get("type")
        if kind == "error":
            raise ModelError("The model's endpoint failed.", spent=True)
        if kind == "message_start":
            yield from self._begun(_object(event, "message"))
        elif kind == "content_block_start":
            yield from self._opened(event.get("index"), _object(event, "content_block"))
        elif kind == "content_block_delta":
            yield from self._grown(event.get("index"), _object(event, "delta"))
        elif kind == "content_block_stop" and event.get("index") in list(self._silent):
            yield self._arguments(event["index"], "{}")
        elif kind == "message_delta":
            self._counted = count(_object(event, "usage").get("output_tokens")) is not None
            self._count(event)
            reason = str(_object(event, "delta").get("stop_reason"))
            yield self._chunk({}, _REASONS.get(reason, "stop"))
        elif kind == "message_stop":
            self.ended = True
            yield {**self._head, "choices": [], "usage": self._usage()}

    def _begun(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self._head = {
            "id": short(message.get("id")),
            "object": "chat.completion.chunk",
            "created": 0,
            "model": short(message.get("model")),
        }
        self._count(message)
        yield self._chunk({"role": "assistant", "content": ""})

    def _opened(self, index: Any, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if block.get("type") == "text" and block.get("text"):
            yield self._chunk({"content": str(block["text"])})
        if block.get("type") == "tool_use" and isinstance(index, int):
            self._calls[index] = len(self._calls)
            self._silent.add(index)
            function = {"name": short(block.get("name")), "arguments": ""}
            call = {"id": short(block.get("id")), "type": "function", "function": function}
            yield self._chunk({"tool_calls": [{"index": self._calls[index], **call}]})

    def _grown(self, index: Any, delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if delta.get("type") == "text_delta":
            yield self._chunk({"content": str(delta.get("text", ""))})
        elif delta.get("type") == "thinking_delta":
            yield self._chunk({"reasoning_content": str(delta.get("thinking", ""))})
        elif delta.get("partial_json") and index in list(self._calls):
            yield self._arguments(index, str(delta["partial_json"]))

    def _arguments(self, index: int, text: str) -> dict[str, Any]:
        self._silent.discard(index)
        part = {"index": self._calls[index], "function": {"arguments": text}}
        return self._chunk({"tool_calls": [part]})

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    def _count(self, said: dict[str, Any]) -> None:
        """Keep the last word on each count."""
        for name, value in _object(said, "usage").items():
            if count(value) is not None:
                self._counts[name] = value

    def _usage(self) -> dict[str, Any] | None:
        """Return what was counted; input that was written down to be kept costs a quarter more."""
        if not (self._counted and {"input_tokens", "output_tokens"} <= self._counts.keys()):
            return None
        read = self._counts.get("cache_read_input_tokens", 0)
        kept = -(-self._counts.get("cache_creation_input_tokens", 0) * 5 // 4)
        prompt = self._counts["input_tokens"] + read + kept
        written = self._counts["output_tokens"]
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": read},
        }


def _object(event: dict[str, Any], name: str) -> dict[str, Any]:
    found = event.get(name)
    return found if isinstance(found, dict) else {}
