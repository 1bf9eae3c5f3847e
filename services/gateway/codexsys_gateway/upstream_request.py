"""Chat completions as engines ask for them, built anew from the allow list."""

from collections.abc import Callable
from typing import Any

from codexsys_gateway.allow_list import (
    EFFORTS,
    Wanted,
    answer_format,
    function,
    image,
    length,
    no_more,
    number,
    text,
)
from codexsys_gateway.refusals import not_allowed

_MOST_STOPS = 16
_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
_OPTIONS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_NUMBERS, number),
    "stop": lambda given: isinstance(given, str) or _words(given),
    "reasoning_effort": lambda given: given in EFFORTS,
}
"""What may be passed on as it is, and when."""
_OF_TOOLS: dict[str, Callable[[Any], bool]] = {
    "parallel_tool_calls": lambda given: isinstance(given, bool),
    "tool_choice": lambda given: given in ("auto", "none", "required"),
}
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
        "logprobs",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "verbosity",
    }
)
_KNOWN = _DROPPED | set(_OPTIONS) | set(_OF_TOOLS) | {"messages", "tools", "response_format"}
_ROLES = ("system", "user", "assistant", "tool", "developer")


def build(body: dict[str, Any]) -> Wanted:
    """Return what is asked of a model; raises `Refused` (400 not_allowed) for what an offline agent may not ask."""
    if body.get("n") not in (None, 1):
        raise not_allowed("Only one choice is given.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise not_allowed("messages must be a list that is not empty.")
    no_more(body, _KNOWN)
    request: dict[str, Any] = {"messages": [_message(message) for message in messages]}
    passed = dict(_OPTIONS)
    if body.get("tools"):
        request["tools"] = _tools(body["tools"])
        passed |= _OF_TOOLS
        if isinstance(body.get("tool_choice"), dict):
            request["tool_choice"] = _choice(body["tool_choice"])
    if body.get("response_format") is not None:
        request["response_format"] = answer_format(body["response_format"])
    options = {
        name: body[name]
        for name, fits in passed.items()
        if isinstance(body.get(name), str | int | float | list) and fits(body[name])
    }
    return Wanted(request | options, length(body, "max_completion_tokens", "max_tokens"))


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise not_allowed("A message has no known role.")
    role = "system" if message["role"] == "developer" else message["role"]
    built: dict[str, Any] = {"role": role, "content": _content(message.get("content"))}
    if isinstance(message.get("tool_call_id"), str):
        built["tool_call_id"] = message["tool_call_id"]
    if message.get("tool_calls"):
        if not isinstance(message["tool_calls"], list):
            raise not_allowed("tool_calls must be a list.")
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
        return text(part["text"])
    given = part.get("image_url") if kind == "image_url" else None
    return image(given.get("url") if isinstance(given, dict) else None)


def _call(call: Any) -> dict[str, Any]:
    named = call.get("function") if isinstance(call, dict) else None
    if not isinstance(named, dict):
        raise not_allowed("Only calls of functions are passed on.")
    said = {"name": str(named.get("name", "")), "arguments": str(named.get("arguments", ""))}
    return {"id": str(call.get("id", "")), "type": "function", "function": said}


def _tools(tools: Any) -> list[dict[str, Any]]:
    if not isinstance(tools, list):
        raise not_allowed("tools must be a list.")
    return [
        function(
            tool.get("function")
            if isinstance(tool, dict) and tool.get("type") == "function"
            else None
        )
        for tool in tools
    ]


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    chosen = function(choice.get("function") if choice.get("type") == "function" else None)
    return {"type": "function", "function": {"name": chosen["function"]["name"]}}


def _words(given: Any) -> bool:
    return (
        isinstance(given, list)
        and len(given) <= _MOST_STOPS
        and all(isinstance(each, str) for each in given)
    )
