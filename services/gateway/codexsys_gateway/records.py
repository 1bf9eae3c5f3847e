"""What is kept of a model call: prompt, reply, the raw record, an event and counts."""

from typing import Any

from codexsys_core.event import EventStore, EventType
from codexsys_core.log import LogStore
from codexsys_core.ready import Hints
from codexsys_core.sandbox import Sandbox, SandboxRole
from codexsys_core.task import Usage
from codexsys_gateway.raw import Raw
from codexsys_gateway.transcript import Transcript
from codexsys_wiring.metrics import GATEWAY_TOKENS

MOST_BEGUN = 4096


class Records:
    """Writes a task's `prompt.txt`, `llm_response.txt` and `calls.jsonl` as the calls come."""

    def __init__(self, *, logs: LogStore, events: EventStore, hints: Hints) -> None:
        self._logs = logs
        self._events = events
        self._hints = hints
        self._raw = Raw()
        self._begun: set[str] = set()
        """Sandboxes whose first words are kept: what is there already is not sent again."""

    async def keep(
        self,
        sandbox: Sandbox,
        number: int,
        request: dict[str, Any],
        transcript: Transcript,
        outcome: str,
    ) -> None:
        """Keep one call; what begins a conversation is a prompt, whatever became of it."""
        task_id = sandbox.task_id
        line = self._raw.line(sandbox.id, number, request, transcript, outcome)
        await self._logs.append(task_id, sandbox.id, "calls", number, line)
        if sandbox.id not in self._begun and _begins(request):
            prompt = transcript.prompt(request)
            await self._logs.append(task_id, _speaker(sandbox), "prompt", 1, prompt)
            if len(self._begun) >= MOST_BEGUN:
                self._begun.clear()
            self._begun.add(sandbox.id)
        if not transcript.heard:
            return
        reply = transcript.reply(number)
        await self._logs.append(task_id, sandbox.id, "llm_response", number, reply)
        usage = transcript.usage or Usage()
        GATEWAY_TOKENS.labels("input").inc(usage.input_tokens)
        GATEWAY_TOKENS.labels("output").inc(usage.output_tokens)
        data = {
            "number": number,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
        }
        await self._events.append(task_id, EventType.MODEL_CALL, data, attempt=sandbox.attempt)
        await self._hints.tell(f"task:{task_id}")


def _begins(request: dict[str, Any]) -> bool:
    return all(message["role"] != "assistant" for message in request["messages"])


def _speaker(sandbox: Sandbox) -> str:
    """Return whose first words a prompt is: once of a task's agents, and of each pre-flight round.

    What is there of it already is not added again.
    """
    return sandbox.id if sandbox.role is SandboxRole.PREFLIGHT else "agent"
