"""The scripted model finds its script where the agent shows the task's text: in a quotation."""

import json
from typing import Any

import pytest

from codexsys_adapters.demo_model import ScriptedModels
from codexsys_core.model import whole

STEPS = [{"say": "I look.", "tool": "read", "arguments": {"path": "a.py"}}]
PROMPT = f"Do this.\n```scripted\n{json.dumps(STEPS)}\n```\nThanks."


@pytest.mark.parametrize("mark", ["", "> "])
async def test_a_script_in_the_prompt_is_followed(mark: str) -> None:
    shown = "\n".join(mark + line for line in PROMPT.splitlines())
    request: dict[str, Any] = {"messages": [{"role": "user", "content": f"The task:\n{shown}"}]}
    answer = whole([chunk async for chunk in ScriptedModels().stream(request)])
    call = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("read", {"path": "a.py"})
