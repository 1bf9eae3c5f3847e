"""Build the upstream request from an allow list; nothing is passed on that is not named here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codexsys_gateway.refusals import not_allowed

_EFFORTS = ("none", "minimal", "low", "medium", "high")
_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
_OPTIONS: dict[str, Callable[[dict[str, Any]], bool]] = {
    **{name: lambda body, name=name: isinstance(body[name], int | float) for name in _NUMBERS},  # type: ignore[misc]
    "stop": lambda body: isinstance(body["stop"], str | list),
    "reasoning_effort": lambda body: body["reasoning_effort"] in _EFFORTS,
    "parallel_tool_calls": lambda body: (
        bool(body.get("tools")) and isinstance(body["parallel_tool_calls"], bool)
    ),
    "tool_choice": lambda body: (
        bool(body.get("tools")) and body["tool_choice"] in ("auto", "none", "required")
    ),
}
"""What may be passed on as it is, and when."""
_DROPPED = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "store",
        "user",
        "metadata",
    }
)
_KNOWN = _DROPPED | set(_OPTIONS) | {"messages", "tools"}
_ROLES = frozenset({"system", "user", "assistant", "tool", "developer"})
BYTES_PER_TOKEN = 3
"""A low count of bytes in a token, so that the estimate of the input is a high one."""


@dataclass(frozen=True)
class Wanted:
    """A call as it was asked for: all but which model answers, and the length of its answer."""

    request: dict[str, Any]
    output_tokens: int | None


def build(body: dict[str, Any]) -> Wanted:
    """Return what is asked of a model; raises `Refused` (400 not_allowed) for what an offline agent may not ask."""
    if body.get("n") not in (None, 1):
        raise not_allowed("Only one choice is given.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise not_allowed("messages must be a list that is not empty.")
    unknown = set(body) - _KNOWN
    if unknown:
        raise not_allowed(f"Not passed on to the model: {', '.join(sorted(unknown))}.")
    request: dict[str, Any] = {"messages": [_message(message) for message in messages]}
    if body.get("tools"):
        request["tools"] = [_tool(tool) for tool in body["tools"]]
    options = {name: body[name] for name, fits in _OPTIONS.items() if name in body and fits(body)}
    return Wanted(request | options, _output(body))


def _output(body: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise not_allowed("A message has no known role.")
    role = "system" if message["role"] == "developer" else message["role"]
    built: dict[str, Any] = {"role": role, "content": _content(message.get("content"))}
    if isinstance(message.get("tool_call_id"), str):
        built["tool_call_id"] = message["tool_call_id"]
    if message.get("tool_calls"):
        built["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return built


def _content(content: Any) -> Any:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise not_allowed("content must be text or a list of parts.")
    return [_part(part) for part in content]


def _part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    image = part.get("image_url") if kind == "image_url" else None
    url = image.get("url") if isinstance(image, dict) else None
    if isinstance(url, str) and url.startswith("data:"):
        return {"type": "image_url", "image_url": {"url": url}}
    raise not_allowed("Only text and images given as data: URLs are passed on.")


def _call(call: Any) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise not_allowed("Only calls of functions are passed on.")
    named = {"name": str(function.get("name", "")), "arguments": str(function.get("arguments", ""))}
    return {"id": str(call.get("id", "")), "type": "function", "function": named}


def _tool(tool: Any) -> dict[str, Any]:
    function = (
        tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    )
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise not_allowed("Only tools of type function are passed on.")
    kept = {
        name: function[name]
        for name in ("name", "description", "parameters", "strict")
        if name in function
    }
    return {"type": "function", "function": kept}
