"""One model call: what was counted of it, and as text for people, put together from what the upstream sent."""

import json
from typing import Any

from codexsys_core.task import Usage

_MOST_TOKENS = 10**12


class Transcript:
    """Listens to an answer's chunks."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.heard = False
        """Whether the upstream said anything."""
        self.usage: Usage | None = None
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._names: dict[int, str] = {}
        self._calls: dict[int, list[str]] = {}
        self._ended: str | None = None

    def add(self, chunk: dict[str, Any]) -> None:
        """Hear a chunk."""
        self.heard = True
        if chunk.get("usage"):
            self.usage = _usage(chunk["usage"])
        for choice in chunk.get("choices") or []:
            part = choice.get("delta") or {}
            self._content.append(_text(part.get("content")))
            self._reasoning.append(_text(part.get("reasoning_content") or part.get("reasoning")))
            self._ended = choice.get("finish_reason") or self._ended
            for position, call in enumerate(part.get("tool_calls") or []):
                function, index = call.get("function") or {}, call.get("index", position)
                self._names[index] = self._names.get(index) or _text(function.get("name"))
                self._calls.setdefault(index, []).append(_text(function.get("arguments")))

    @property
    def answer(self) -> dict[str, Any]:
        """Return what the model said, put together."""
        return {
            "content": "".join(self._content),
            "reasoning": "".join(self._reasoning),
            "calls": [
                {"name": self._names[index], "arguments": "".join(words)}
                for index, words in sorted(self._calls.items())
            ],
            "ended": self._ended,
        }

    def reply(self, number: int) -> bytes:
        """Return the reply as `llm_response.txt` shows it."""
        usage = self.usage or Usage()
        lines = [
            f"== reply {number} · {self.model} · {usage.input_tokens} tokens in, {usage.output_tokens} out"
        ]
        content = "".join(self._content)
        lines += [content] if content else []
        lines += [
            f"-> {self._names[index]} {''.join(words)}"
            for index, words in sorted(self._calls.items())
        ]
        return _bytes("\n".join(lines) + "\n\n")

    @staticmethod
    def prompt(request: dict[str, Any]) -> bytes:
        """Return all that the model was given first, as `prompt.txt` shows it."""
        lines = []
        for message in request["messages"]:
            content = message.get("content")
            text = content if isinstance(content, str) else json.dumps(content)
            lines.append(f"== {message['role']}\n{text}\n")
        names = ", ".join(tool["function"]["name"] for tool in request.get("tools", []))
        return _bytes("\n".join(lines) + f"\n== tools\n{names}\n")


def _usage(usage: dict[str, Any]) -> Usage | None:
    """Return what an upstream counted; None when it cannot be read, which is as if it said nothing."""
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"), cached or 0)
    if not all(isinstance(count, int) and 0 <= count < _MOST_TOKENS for count in counts):
        return None
    read, written, cached = counts
    return Usage(calls=1, input_tokens=read, output_tokens=written, cached_tokens=cached)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _bytes(text: str) -> bytes:
    """Return a text that may have half characters in it, as JSON may."""
    return text.encode(errors="replace")
