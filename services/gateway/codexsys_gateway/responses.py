"""Answers in the shape of OpenAI's Responses, made of chat chunks: streamed and whole."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from codexsys_core.model import ModelError
from codexsys_gateway.calls import refused
from codexsys_gateway.chat import Chunks
from codexsys_gateway.refusals import Refused
from codexsys_gateway.responses_request import Tool
from codexsys_gateway.streams import compact

Event = dict[str, Any]


@dataclass
class _Said:
    """An item of the output that is still growing."""

    index: int
    id: str
    tool: Tool | None = None
    """None: it is a message."""
    call_id: str = ""
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def item(self, *, done: bool = True) -> Event:
        """Return it as a client sees it."""
        said = self.text if done else ""
        status = "completed" if done else "in_progress"
        if self.tool is None:
            part = {"type": "output_text", "text": said, "annotations": []}
            content = [part] if done else []
            return {
                "id": self.id,
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": content,
            }
        named = {"id": self.id, "status": status, "call_id": self.call_id, "name": self.tool.name}
        if self.tool.custom:
            return {**named, "type": "custom_tool_call", "input": _input(said) if done else ""}
        space = {"namespace": self.tool.namespace} if self.tool.namespace else {}
        return {**named, **space, "type": "function_call", "arguments": said}


class Response:
    """One response, growing with each chunk."""

    def __init__(self, tools: dict[str, Tool]) -> None:
        self._head: dict[str, Any] = {}
        self._tools = tools
        self._number = 0
        self._items: list[_Said] = []
        self._message: _Said | None = None
        self._calls: dict[int, _Said] = {}
        self._open: list[_Said] = []
        self._usage: dict[str, Any] | None = None
        self._cut = False

    def begun(self, chunk: dict[str, Any]) -> Iterator[Event]:
        """Yield how a stream begins, with its first chunk."""
        self._head = {
            "id": f"resp_{str(chunk.get('id', ''))[:100]}",
            "object": "response",
            "created_at": chunk.get("created", 0),
            "model": chunk.get("model", ""),
        }
        yield self._event("response.created", response=self._body("in_progress"))
        yield self._event("response.in_progress", response=self._body("in_progress"))
        yield from self.heard(chunk)

    def heard(self, chunk: dict[str, Any]) -> Iterator[Event]:
        """Yield what a chunk adds."""
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            self._cut = self._cut or choice.get("finish_reason") == "length"
            if isinstance(delta.get("content"), str) and delta["content"]:
                yield from self._words(delta["content"])
            for part in delta.get("tool_calls") or []:
                yield from self._call(part)

    def ended(self) -> Iterator[Event]:
        """Yield the ends of all items, and of the response."""
        for said in list(self._open):
            yield from self._closed(said)
        kind = "incomplete" if self._cut else "completed"
        yield self._event(f"response.{kind}", response=self.body())

    def failed(self, error: Refused) -> Event:
        """Return how a stream tells that it broke off."""
        said = {"code": error.code, "message": error.message}
        return self._event("response.failed", response=self._body("failed") | {"error": said})

    def body(self) -> Event:
        """Return the whole response."""
        return self._body("incomplete" if self._cut else "completed")

    def _body(self, status: str) -> Event:
        over = status in ("completed", "incomplete")
        return {
            **self._head,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if self._cut and over else None,
            "output": [said.item() for said in self._items] if over else [],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "store": False,
            "tools": [],
            "tool_choice": "auto",
            "metadata": {},
            "usage": _usage(self._usage) if over else None,
        }

    def _words(self, words: str) -> Iterator[Event]:
        if self._message is None:
            self._message = said = self._new("msg", None)
            yield from self._opened(said)
            part = {"type": "output_text", "text": "", "annotations": []}
            yield self._of(said, "response.content_part.added", content_index=0, part=part)
        self._message.parts.append(words)
        yield self._of(self._message, "response.output_text.delta", content_index=0, delta=words)

    def _call(self, part: dict[str, Any]) -> Iterator[Event]:
        function: Any = part.get("function")
        function = function if isinstance(function, dict) else {}
        index = part.get("index")
        if not isinstance(index, int):  # some servers send whole calls without one
            index = len(self._calls) if part.get("id") else max(self._calls, default=0)
        said = self._calls.get(index)
        if said is None:
            name = str(function.get("name") or "")
            tool = self._tools.get(name, Tool(name))
            said = self._calls[index] = self._new("ctc" if tool.custom else "fc", tool)
            said.call_id = str(part.get("id") or f"call_{index}")
            yield from self._opened(said)
        words = function.get("arguments")
        if isinstance(words, str) and words:
            said.parts.append(words)
            if said.tool is not None and not said.tool.custom:  # that is told when it is whole
                yield self._of(said, "response.function_call_arguments.delta", delta=words)

    def _closed(self, said: _Said) -> Iterator[Event]:
        self._open.remove(said)
        item = said.item()
        if said.tool is None:
            part = item["content"][0]
            yield self._of(said, "response.output_text.done", content_index=0, text=said.text)
            yield self._of(said, "response.content_part.done", content_index=0, part=part)
        elif said.tool.custom:
            kind = "response.custom_tool_call_input"
            yield self._of(said, f"{kind}.delta", delta=item["input"])
            yield self._of(said, f"{kind}.done", input=item["input"])
        else:
            kind = "response.function_call_arguments.done"
            yield self._of(said, kind, arguments=said.text)
        yield self._event("response.output_item.done", output_index=said.index, item=item)

    def _new(self, prefix: str, tool: Tool | None) -> _Said:
        said = _Said(len(self._items), f"{prefix}_{self._head['id']}_{len(self._items)}", tool)
        self._items.append(said)
        self._open.append(said)
        return said

    def _opened(self, said: _Said) -> Iterator[Event]:
        item = said.item(done=False)
        yield self._event("response.output_item.added", output_index=said.index, item=item)

    def _of(self, said: _Said, kind: str, **more: Any) -> Event:
        return self._event(kind, item_id=said.id, output_index=said.index, **more)

    def _event(self, kind: str, **more: Any) -> Event:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **more}


async def answered(chunks: Chunks, response: Response) -> Event:
    """Return the whole response; raises `Refused`."""
    async with aclosing(chunks):
        try:
            first = True
            async for chunk in chunks:
                for _ in response.begun(chunk) if first else response.heard(chunk):
                    pass  # only the whole is told
                first = False
        except ModelError as error:
            raise refused(error) from error
    return response.body()


async def streamed(chunks: Chunks, response: Response) -> AsyncGenerator[bytes, None]:
    """Return the events of a stream once it has begun; raises `Refused` until then."""
    try:
        first = await anext(chunks)
    except ModelError as error:
        raise refused(error) from error
    return _events(first, chunks, response)


async def _events(
    first: dict[str, Any], rest: Chunks, response: Response
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        for event in response.begun(first):
            yield _sent(event)
        try:
            async for chunk in rest:
                for event in response.heard(chunk):
                    yield _sent(event)
        except ModelError as error:
            yield _sent(response.failed(refused(error)))
            return
    for event in response.ended():
        yield _sent(event)


def _sent(event: Event) -> bytes:
    return f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()


def _input(arguments: str) -> str:
    """Return the text of a custom tool from the argument that stood for it."""
    try:
        found = json.loads(arguments)
    except ValueError:
        return arguments
    return str(found.get("input", "")) if isinstance(found, dict) else arguments


def _usage(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    read, written = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached or 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }
