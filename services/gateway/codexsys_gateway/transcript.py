"""One model call as text for people, put together from what the upstream sent."""

import json
from typing import Any

from codexsys_core.task import Usage


class Transcript:
    """Listens to an answer, whole or in chunks."""

    def __init__(self) -> None:
        self.heard = False
        """Whether the upstream said anything."""
        self.usage: Usage | None = None
        self._content: list[str] = []
        self._calls: dict[int, list[str]] = {}

    def add_whole(self, answer: dict[str, Any]) -> None:
        """Hear a whole completion."""
        self._hear(answer, "message")

    def add_chunk(self, chunk: dict[str, Any]) -> None:
        """Hear a chunk of a stream."""
        self._hear(chunk, "delta")

    def _hear(self, answer: dict[str, Any], key: str) -> None:
        self.heard = True
        if answer.get("usage"):
            self.usage = _usage(answer["usage"])
        for choice in answer.get("choices") or []:
            part = choice.get(key) or {}
            self._content.append(part.get("content") or "")
            for position, call in enumerate(part.get("tool_calls") or []):
                function = call.get("function") or {}
                words = self._calls.setdefault(call.get("index", position), [])
                words.append(f"{function.get('name') or ''} " if function.get("name") else "")
                words.append(function.get("arguments") or "")

    def reply(self, number: int, model: str) -> bytes:
        """Return the reply as `llm_response.txt` shows it."""
        usage = self.usage or Usage()
        lines = [
            f"== reply {number} · {model} · {usage.input_tokens} tokens in, {usage.output_tokens} out"
        ]
        content = "".join(self._content)
        lines += [content] if content else []
        lines += [f"-> {''.join(words)}" for _, words in sorted(self._calls.items())]
        return ("\n".join(lines) + "\n\n").encode()

    @staticmethod
    def prompt(request: dict[str, Any]) -> bytes:
        """Return all that the model was given first, as `prompt.txt` shows it."""
        lines = []
        for message in request["messages"]:
            content = message.get("content")
            text = content if isinstance(content, str) else json.dumps(content)
            lines.append(f"== {message['role']}\n{text}\n")
        names = ", ".join(tool["function"]["name"] for tool in request.get("tools", []))
        return ("\n".join(lines) + f"\n== tools\n{names}\n").encode()


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        calls=1,
        input_tokens=int(usage.get("prompt_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
    )
