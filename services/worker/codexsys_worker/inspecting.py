"""A look at changed files by parsers and the repository's own linters, in a sandbox that is needed for nothing else."""

import json

from codexsys_core.errors import SandboxError
from codexsys_core.inspection import (
    MOST_ANSWERED,
    Inspection,
    Lines,
    inspectable,
    read_answer,
)
from codexsys_core.patch import Patch
from codexsys_core.sandbox import PhaseEnd, PhaseSpec
from codexsys_worker.room import Room
from codexsys_worker.work import Work

MOST_SECONDS = 180.0
"""For all tools together, within what the checks left of their time."""
_LEAST_SECONDS = 1.0
_SPARE_SECONDS = 15.0


async def inspect(room: Room, work: Work, patch: Patch, *, seconds: float) -> Inspection:
    """Look with the change applied; whatever goes wrong is a note, for no verdict stands on this."""
    lines = inspectable(patch)
    if not lines:
        return Inspection()
    if seconds < _LEAST_SECONDS:
        return Inspection(notes=["Changed files were not looked at: the checks took all the time."])
    phase = _phase(work, patch, lines, min(seconds, MOST_SECONDS))
    try:
        end, answer = await room.read(phase, most=2 * MOST_ANSWERED)
    except SandboxError as error:
        return Inspection(notes=[f"Changed files could not be looked at: {error.message}"])
    found = read_answer(answer, lines, room.redactor.redact)
    note = _unfinished(end)
    return found.model_copy(update={"notes": [*found.notes, note]}) if note else found


def _phase(work: Work, patch: Patch, lines: Lines, seconds: float) -> PhaseSpec:
    order = {"lines": lines, "changed": [file.path for file in patch.files], "seconds": seconds}
    return PhaseSpec(
        name="inspect",
        argv=("codexsys-python", "-m", "codexsys_agent.inspecting"),
        env=work.spec.environment.variables,
        files={"inspect.json": json.dumps(order).encode(), "patch": patch.diff},
        seconds=seconds + _SPARE_SECONDS,
        output="binary",
        output_bytes=MOST_ANSWERED,
    )


def _unfinished(end: PhaseEnd) -> str:
    if end.reason is None and end.exit_code == 0:
        return ""
    ended = end.reason or f"exit status {end.exit_code}"
    return f"The look at changed files did not come to its end ({ended})."
