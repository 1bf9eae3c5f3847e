"""OpenAI's Responses as engines ask for them, built anew as a chat request from the allow list."""

import json
from dataclasses import dataclass
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

_KNOWN = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls"),
        *("temperature", "top_p", "max_output_tokens", "reasoning", "text", "stream", "store"),
        # Of no use to another upstream, and dropped:
        *("background", "include", "metadata", "prompt_cache_key", "prompt_cache_retention"),
        *("safety_identifier", "service_tier", "stream_options", "truncation", "user"),
        *("client_metadata", "top_logprobs"),
    }
)
_ROLES = ("system", "user", "assistant", "developer")
_TEXTS = ("input_text", "output_text", "text", "summary_text")
_SEPARATOR = "__"


@dataclass(frozen=True)
class Tool:
    """What a tool is called by the engine, and how its call is answered."""

    name: str
    custom: bool = False
    namespace: str | None = None


@dataclass(frozen=True)
class Asked:
    """A chat request, and what is needed to answer it as a response."""

    wanted: Wanted
    tools: dict[str, Tool]
    """By the names that the model knows."""


def build(body: dict[str, Any]) -> Asked:
    """Return what is asked of a model; raises `Refused` (400 not_allowed)."""
    no_more(body, _KNOWN)
    request: dict[str, Any] = {"messages": _messages(body)}
    tools: dict[str, Tool] = {}
    if body.get("tools"):
        request["tools"] = _tools(body["tools"], tools)
    if tools:
        request |= _of_tools(body, tools)
    for name in ("temperature", "top_p"):
        if number(body.get(name)):
            request[name] = body[name]
    reasoning, said = body.get("reasoning"), body.get("text")
    if isinstance(reasoning, dict) and reasoning.get("effort") in EFFORTS:
        request["reasoning_effort"] = reasoning["effort"]
    if isinstance(said, dict) and said.get("format") is not None:
        request["response_format"] = answer_format(said["format"])
    return Asked(Wanted(request, length(body, "max_output_tokens")), tools)


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not items:
        raise not_allowed("input must be text, or a list that is not empty.")
    messages: list[dict[str, Any]] = []
    if body.get("instructions") is not None:
        if not isinstance(body["instructions"], str):
            raise not_allowed("instructions must be text.")
        messages.append({"role": "system", "content": body["instructions"]})
    for item in items:
        _add(messages, item)
    return messages


def _add(messages: list[dict[str, Any]], item: Any) -> None:
    """Add an item; the calls that follow one another are one message of the assistant."""
    kind = item.get("type", "message") if isinstance(item, dict) else None
    if kind == "message":
        messages.append(_message(item))
    elif kind in ("function_call", "custom_tool_call"):
        if not messages or messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": None})
        messages[-1].setdefault("tool_calls", []).append(_call(item))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        output = _content(item.get("output"))
        messages.append(
            {"role": "tool", "tool_call_id": str(item.get("call_id", "")), "content": output}
        )
    elif kind != "reasoning":  # sealed by the upstream that it came from
        raise not_allowed(f"An item of type {str(kind)[:60]} is not passed on to the model.")


def _message(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("role") not in _ROLES:
        raise not_allowed("A message has no known role.")
    role = "system" if item["role"] == "developer" else item["role"]
    return {"role": role, "content": _content(item.get("content"))}


def _content(content: Any) -> Any:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise not_allowed("content must be text or a list of parts.")
    return [_part(part) for part in content]


def _part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS and isinstance(part.get("text"), str):
        return text(part["text"])
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return text(part["refusal"])
    return image(part.get("image_url") if kind == "input_image" else None)


def _call(item: dict[str, Any]) -> dict[str, Any]:
    name = str(item.get("name", ""))
    if isinstance(item.get("namespace"), str):
        name = f"{item['namespace']}{_SEPARATOR}{name}"
    said = str(item.get("arguments", ""))
    if item["type"] == "custom_tool_call":
        said = json.dumps({"input": str(item.get("input", ""))})
    named = {"name": name, "arguments": said}
    return {"id": str(item.get("call_id", "")), "type": "function", "function": named}


def _tools(
    given: Any, tools: dict[str, Tool], namespace: str | None = None
) -> list[dict[str, Any]]:
    """Return tools that the agent runs itself; those of a namespace get its name before theirs."""
    if not isinstance(given, list):
        raise not_allowed("tools must be a list.")
    built: list[dict[str, Any]] = []
    for tool in given:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "namespace" and namespace is None and isinstance(tool.get("name"), str):
            built += _tools(tool.get("tools") or [], tools, tool["name"])
            continue
        if kind not in ("function", "custom"):
            raise not_allowed(f"A tool of type {str(kind)[:60]} would run at the model's server.")
        name = str(tool.get("name", ""))
        known = f"{namespace}{_SEPARATOR}{name}" if namespace else name
        built.append(
            function({**(_as_function(tool) if kind == "custom" else tool), "name": known})
        )
        tools[known] = Tool(name, custom=kind == "custom", namespace=namespace)
    return built


def _as_function(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool of free text as a function with one argument."""
    form = tool.get("format")
    grammar = form.get("definition") if isinstance(form, dict) else None
    words = [str(tool.get("description") or "")]
    if isinstance(grammar, str):
        words.append(f"The argument `input` is text of this grammar:\n{grammar}")
    return {
        "description": "\n\n".join(words),
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
        },
    }


def _of_tools(body: dict[str, Any], tools: dict[str, Tool]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(body.get("parallel_tool_calls"), bool):
        found["parallel_tool_calls"] = body["parallel_tool_calls"]
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice in ("auto", "none", "required"):
        found["tool_choice"] = choice
    elif isinstance(choice, dict):
        if choice.get("name") not in list(tools):
            raise not_allowed("tool_choice names no tool of this request.")
        found["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    return found
