"""States of a task as its webhook tells them."""

from dataclasses import dataclass, field
from typing import Any

from codexsys_client import Event
from codexsys_core.moves import PROGRESS, Phase

_VERIFYING = 85


@dataclass(frozen=True)
class State:
    """One message's worth: the pair of status and phase, and what there is to say about it."""

    status: str
    phase: str | None
    progress: int
    at: str
    data: dict[str, Any] = field(default_factory=dict)

    def body(self, task_id: str) -> dict[str, Any]:
        """Return what is sent."""
        return {
            "type": f"task.{self.status}",
            "task_id": task_id,
            "status": self.status,
            "phase": self.phase,
            "progress": self.progress,
            "timestamp": self.at,
            "data": self.data,
        }


def state_of(event: Event) -> State | None:
    """Return what an event means to a receiver; None for what is no state. The last one is made of the result."""
    kind, at = event["type"], event["at"]
    data = {key: value for key, value in event["data"].items() if key not in ("status", "phase")}
    match kind:
        case "task.queued" | "task.attempt_ended":
            return State("queued", None, 0, at, data)
        case "task.running":
            return State("running", None, 0, at, data)
        case "task.phase":
            phase = Phase(event["data"]["phase"])
            return State("running", phase.value, PROGRESS[phase], at, data)
        case "agent.plan":
            return State("running", Phase.CODING.value, PROGRESS[Phase.CODING], at, data)
        case "verify.result":
            return State("running", Phase.TESTING.value, _VERIFYING, at, data)
    return None
