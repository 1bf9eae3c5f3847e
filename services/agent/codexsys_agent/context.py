"""What of the conversation is sent: old tool outputs are masked, in hops."""

from typing import Any

_MASK_FROM_TOKENS = 60_000
_HOP = 5
_SHORT = 400


class Context:
    """Masks more each time the model's server says that the conversation is too long."""

    def __init__(self, mask_from_tokens: int = _MASK_FROM_TOKENS) -> None:
        self._mask_from = mask_from_tokens
        self._keeps = [10, 5, 2]

    def tighten(self) -> bool:
        """Keep fewer outputs whole from now on; false when there is nothing left to give."""
        self._mask_from = 0
        self._keeps.pop(0)
        return bool(self._keeps)

    def view(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages to send."""
        if sum(map(_size, messages)) // 4 < self._mask_from:
            return messages
        outputs = [n for n, message in enumerate(messages) if message["role"] == "tool"]
        # Masking one more each step would spoil the server's prefix cache: move in hops.
        hop = _HOP if self._mask_from else 1
        cut = max(0, (len(outputs) - self._keeps[0]) // hop * hop)
        old = set(outputs[:cut])
        return [_masked(m) if n in old else m for n, m in enumerate(messages)]


def _size(message: dict[str, Any]) -> int:
    calls = message.get("tool_calls") or []
    said = sum(len(call["function"]["arguments"]) for call in calls)
    return len(message.get("content") or "") + said


def _masked(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if len(content) <= _SHORT:
        return message
    return {**message, "content": f"[old output elided: {content.count(chr(10)) + 1} lines]"}
