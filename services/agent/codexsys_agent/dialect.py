"""Tool calls in plain text, for models and servers that know no tools.

The session keeps calls and results in one form; only what is sent, and how a reply is read, differ.
"""

import json
import re
from typing import Any

from codexsys_agent.chat import Call

_BLOCK = re.compile(r"```tool[ \t]*\n(.*?)\n?```|<tool_call>(.*?)</tool_call>", re.DOTALL)
_MOST_CALLS = 16
FORM = """\
```tool
{"tool": "bash", "arguments": {"command": "git log --oneline -3"}}
```"""


def calls_in(text: str) -> list[Call]:
    """The calls that a reply spells out; what is no JSON becomes a call that says so."""
    return [_call(first or second) for first, second in _BLOCK.findall(text)[:_MOST_CALLS]]


def as_text(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation without roles and fields that such servers refuse; speakers take turns."""
    spoken: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for message in messages:
        for call in message.get("tool_calls") or []:
            names[call["id"]] = call["function"]["name"]
        role, content = _spoken(message, names)
        if spoken and spoken[-1]["role"] == role == "user":
            spoken[-1]["content"] += f"\n\n{content}"
        else:
            spoken.append({"role": role, "content": content})
    if spoken and spoken[0]["role"] == "system":
        spoken[0]["content"] += "\n\n" + _told(tools)
    return spoken


def _call(raw: str) -> Call:
    try:
        told = json.loads(raw, strict=False)
        name = told.get("tool") or told.get("name")
        arguments = told.get("arguments", told.get("parameters", {}))
        return Call(name=str(name or ""), arguments=json.dumps(arguments))
    except (ValueError, AttributeError):
        return Call(name="tool", arguments=raw.strip())


def _spoken(message: dict[str, Any], names: dict[str, str]) -> tuple[str, str]:
    role, content = message["role"], message.get("content") or ""
    if role == "tool":
        return "user", f"[result of {names.get(message['tool_call_id'], 'tool')}]\n{content}"
    if message.get("tool_calls") and not _BLOCK.search(content):
        content = "\n".join([content, *map(_block, message["tool_calls"])]).strip()
    return role, content


def _block(call: dict[str, Any]) -> str:
    function = call["function"]
    told = {"tool": function["name"], "arguments": json.loads(function["arguments"])}
    return f"```tool\n{json.dumps(told)}\n```"


def _told(tools: list[dict[str, Any]]) -> str:
    lines = [f"Call a tool by writing a block like this one, one block a call:\n{FORM}\nThe tools:"]
    for tool in tools:
        function = tool["function"]
        schema = json.dumps(function["parameters"]["properties"])
        needed = ", ".join(function["parameters"]["required"])
        lines.append(
            f"- {function['name']}: {function['description']} Arguments: {schema}; needed: {needed}."
        )
    return "\n".join(lines)
