"""How a phase's end becomes the task's, and applying a change."""

from codexsys_core.end_reasons import EndReason
from codexsys_core.outcome import Outcome
from codexsys_core.sandbox import PhaseEnd, PhaseSpec
from codexsys_worker.room import Room

APPLY_SECONDS = 60.0
_LIMITS = {
    "out_of_memory": EndReason.OUT_OF_MEMORY,
    "too_many_processes": EndReason.TOO_MANY_PROCESSES,
    "disk_full": EndReason.DISK_FULL,
    "output_limit": EndReason.OUTPUT_LIMIT,
    "deadline": EndReason.DEADLINE,
    "sandbox_failed": EndReason.SANDBOX_FAILED,
    "sandbox_lost": EndReason.SANDBOX_LOST,
    "signalled": EndReason.SANDBOX_LOST,
    "network_open": EndReason.SANDBOX_NETWORK_OPEN,
}


class StageFailed(Exception):
    """A phase ended badly; holds the outcome for the task."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


def limit_outcome(end: PhaseEnd, *, deadline: EndReason = EndReason.DEADLINE) -> Outcome | None:
    """Return the outcome of a phase that a limit or the platform ended; None when its program did."""
    if end.reason is None:
        return None
    reason = deadline if end.reason == "deadline" else _LIMITS[end.reason]
    return Outcome(reason=reason, detail=end.detail)


async def apply_patch(room: Room, patch: bytes, *, name: str) -> None:
    """Apply a change to the workspace, with the network closed."""
    if not patch:
        return
    argv = ("git", "apply", "--binary", "--whitespace=nowarn", "/app/input/patch")
    end = await room.run(
        PhaseSpec(name=name, argv=argv, files={"patch": patch}, seconds=APPLY_SECONDS),
        stream="setup",
    )
    must(end, "The earlier change does not apply after setup.", EndReason.PATCH_REFUSED)


def must(end: PhaseEnd, detail: str, reason: EndReason) -> None:
    """Raise `StageFailed` unless the phase's program ended well."""
    outcome = limit_outcome(end)
    if outcome is None and end.exit_code:
        outcome = Outcome(reason=reason, detail=detail)
    if outcome is not None:
        raise StageFailed(outcome)
