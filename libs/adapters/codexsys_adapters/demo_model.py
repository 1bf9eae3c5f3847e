"""A scripted stand-in for a model: it follows a list of steps, and says so in every answer."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

from codexsys_core.preflight import MARK

NAME = "scripted-demo"
_BLOCK = re.compile(r"```scripted\s*\n(.*?)\n```", re.DOTALL)
_QUOTED = re.compile(r"^> ?", re.MULTILINE)
"""The agent shows the task's text as a quotation."""
_SAID = "(scripted demo model, no real model is at work) "
_CHECK = {
    "say": "I run the tests first.",
    "tool": "bash",
    "arguments": {"command": "python3 -m pytest -q"},
}
DEMO: list[dict[str, Any]] = [
    _CHECK,
    {
        "say": "total() fails. I read where it is computed.",
        "tool": "read",
        "arguments": {"path": "inventory/stock.py"},
    },
    {
        "say": "The quantity is left out of the sum.",
        "tool": "edit",
        "arguments": {
            "path": "inventory/stock.py",
            "old": "return sum(item.price for item in self.items)",
            "new": "return sum(item.price * item.quantity for item in self.items)",
        },
    },
    {**_CHECK, "say": "I run the tests again."},
    {
        "say": "Done.",
        "tool": "finish",
        "arguments": {
            "status": "done",
            "summary": _SAID + "total() multiplies each price by its quantity now.",
            "criteria": [],
        },
    },
]
_READY = {"ready": True}
"""What the pre-flight gate is told: a script needs no answers."""
_LOST: dict[str, Any] = {
    "say": "I only know the steps of my script.",
    "tool": "finish",
    "arguments": {
        "status": "blocked",
        "summary": _SAID
        + "It can only do the demo task. Set CODEXSYS_MODEL_URL to use a real model.",
        "criteria": [],
    },
}


class ScriptedModels:
    """Keeps no state: the step is the number of replies that the conversation already holds.

    The script is the demo's, or the JSON list of steps in a block fenced with ```scripted in the
    prompt; a step is {"say", "tool", "arguments"}.
    """

    async def _whole(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the next step as one completion."""
        messages = request["messages"]
        step = _READY if _asks_whether_ready(messages) else _step(messages)
        size = len(json.dumps(messages)) // 4
        answer = len(json.dumps(step)) // 4
        return {
            "id": "scripted",
            "object": "chat.completion",
            "created": 0,
            "model": NAME,
            "choices": [{"index": 0, **_choice(step, messages)}],
            "usage": {
                "prompt_tokens": size,
                "completion_tokens": answer,
                "total_tokens": size + answer,
            },
        }

    async def stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield the next step in three chunks: words, the call, usage."""
        whole = await self._whole(request)
        head = {"id": whole["id"], "object": "chat.completion.chunk", "created": 0, "model": NAME}
        message, ended = whole["choices"][0]["message"], whole["choices"][0]["finish_reason"]
        calls = [{**call, "index": index} for index, call in enumerate(message["tool_calls"])]
        for delta, reason in (
            ({"role": "assistant", "content": message["content"]}, None),
            *([({"tool_calls": calls}, None)] if calls else []),
            ({}, ended),
        ):
            yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        yield {**head, "choices": [], "usage": whole["usage"]}


def _step(messages: list[dict[str, Any]]) -> dict[str, Any]:
    script = _script(
        "\n".join(_text(message) for message in messages if message.get("role") == "user")
    )
    done = len([message for message in messages if message.get("role") == "assistant"])
    if done < len(script):
        return script[done]
    # Its end may not be the last word: an agent has its model look at the whole change once more.
    return script[-1] if script and script[-1]["tool"] == "finish" else _LOST


def _script(prompt: str) -> list[dict[str, Any]]:
    block = _BLOCK.search(_QUOTED.sub("", prompt))
    if block is None:
        return DEMO if "inventory" in prompt else [_LOST]
    try:
        steps = json.loads(block[1])
    except ValueError:
        return [_LOST]
    return (
        [step for step in steps if isinstance(step, dict) and "tool" in step]
        if isinstance(steps, list)
        else [_LOST]
    )


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def _asks_whether_ready(messages: list[dict[str, Any]]) -> bool:
    return messages[0].get("role") == "system" and _text(messages[0]).startswith(MARK)


def _choice(step: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    if step is _READY:
        message = {"role": "assistant", "content": json.dumps(_READY), "tool_calls": []}
        return {"message": message, "finish_reason": "stop"}
    return {"message": _message(step, messages), "finish_reason": "tool_calls"}


def _message(step: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    call = {
        "id": f"call_{len(messages)}",
        "type": "function",
        "function": {"name": step["tool"], "arguments": json.dumps(step.get("arguments", {}))},
    }
    return {"role": "assistant", "content": _SAID + str(step.get("say", "")), "tool_calls": [call]}
