"""What an agent tells the platform: events, log lines, checkpoints, outputs."""

import base64
import binascii
import json
import re
from typing import Any

from codexsys_core.artifact import ObjectStore
from codexsys_core.checkpoint import Checkpoint, CheckpointStore
from codexsys_core.clock import Clock
from codexsys_core.event import AGENT_TYPES, EventStore, EventType
from codexsys_core.ids import Ids
from codexsys_core.log import LogStore, Redactor
from codexsys_core.plan import Plan
from codexsys_core.ready import Hints
from codexsys_core.sandbox import Sandbox
from codexsys_gateway.refusals import STOPS, Refused, not_allowed

MOST_EVENT_BYTES = 64 * 1024
MOST_NUMBER = 2**31 - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Reports:
    """Takes what a sandbox says; numbers make every call idempotent."""

    def __init__(
        self,
        *,
        events: EventStore,
        logs: LogStore,
        checkpoints: CheckpointStore,
        objects: ObjectStore,
        hints: Hints,
        clock: Clock,
        ids: Ids,
        redactor: Redactor,
    ) -> None:
        self._events = events
        self._logs = logs
        self._checkpoints = checkpoints
        self._objects = objects
        self._hints = hints
        self._clock = clock
        self._ids = ids
        self._redactor = redactor

    async def event(self, sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
        """Add an event of the agent's own."""
        number, data = _number(body), body.get("data")
        kind = body.get("type")
        if not isinstance(kind, str) or kind not in AGENT_TYPES or not isinstance(data, dict):
            raise not_allowed("type must be one of the agent's own, data an object.")
        if len(json.dumps(data)) > MOST_EVENT_BYTES:
            raise Refused(413, "too_large", "data is larger than 64 KiB.")
        data = _redacted(_checked(kind, data), self._redactor)
        seq = await self._events.append(
            sandbox.task_id,
            EventType(kind),
            data,
            attempt=sandbox.attempt,
            sender=(sandbox.id, number),
        )
        await self._hints.tell(f"task:{sandbox.task_id}")
        return {"seq": seq}

    async def log(self, sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
        """Add whole lines to the agent's stream."""
        text = body.get("text")
        if body.get("stream") != "agent" or not isinstance(text, str):
            raise not_allowed("stream must be agent, text a string.")
        # The worker copies the program's own output to the same stream under the sandbox's id.
        sender = sandbox.id.replace("sbx_", "door_", 1)[:32]
        offset = await self._logs.append(
            sandbox.task_id, sender, "agent", _number(body), text.encode(errors="replace")
        )
        await self._hints.tell(f"task:{sandbox.task_id}")
        return {"offset": offset}

    async def checkpoint(self, sandbox: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
        """Store the agent's work so far."""
        number, step, state = _number(body), _number(body, "step", least=0), body.get("state")
        try:
            patch = base64.b64decode(str(body.get("patch", "")), validate=True)
        except binascii.Error:
            raise not_allowed("patch must be base64.") from None
        place = f"codexsys-code/checkpoints/{sandbox.task_id}/{sandbox.attempt}-{sandbox.fence}-{number}"
        await self._objects.put(f"{place}/patch", patch)
        await self._objects.put(f"{place}/state", json.dumps(state).encode() if state else b"")
        checkpoint = Checkpoint(
            id=self._ids.new("chk"),
            task_id=sandbox.task_id,
            attempt=sandbox.attempt,
            fence=sandbox.fence,
            number=number,
            step=step,
            object=place,
            patch_size=len(patch),
            created_at=self._clock.now(),
        )
        if not await self._checkpoints.add(checkpoint, sandbox_id=sandbox.id):
            raise Refused(STOPS, "token_revoked", "This sandbox has ended.")
        data = {"number": number, "step": checkpoint.step, "patch_size": len(patch)}
        await self._events.append(
            sandbox.task_id, EventType.CHECKPOINT, data, attempt=sandbox.attempt
        )
        return {"number": number}

    async def output(self, sandbox: Sandbox, name: str, data: bytes) -> dict[str, Any]:
        """Store a file that the agent leaves."""
        if not _NAME.fullmatch(name):
            raise not_allowed(
                "The name of an output has letters, digits, dot, dash and underscore only."
            )
        place = f"codexsys-code/outputs/{sandbox.task_id}/{sandbox.id}/{name}"
        size, sha256 = await self._objects.put(place, data)
        return {"size": size, "sha256": sha256}


def _checked(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of an event; a plan becomes a part of its task, so it has its form."""
    if kind != EventType.AGENT_PLAN.value:
        return data
    plan = Plan.read(data)
    if plan is None:
        raise not_allowed("A plan has 1 to 50 steps, each with its words and whether it is done.")
    return plan.model_dump()


def _redacted(value: Any, redactor: Redactor) -> Any:
    """Redact text by text, so that what is left is the same JSON."""
    if isinstance(value, str):
        return redactor.redact(value.encode(errors="replace")).decode(errors="replace")
    if isinstance(value, list):
        return [_redacted(item, redactor) for item in value]
    if isinstance(value, dict):
        return {_redacted(key, redactor): _redacted(item, redactor) for key, item in value.items()}
    return value


def _number(body: dict[str, Any], name: str = "number", *, least: int = 1) -> int:
    number = body.get(name, 0)
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole or not least <= number <= MOST_NUMBER:
        raise not_allowed(f"{name} must be a whole number from {least} to {MOST_NUMBER}.")
    return int(number)
