"""Take out of a sandbox what must come out: read by our collector in the cage, through a capped pipe."""

import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import SandboxError
from codexsys_core.outcome import Outcome
from codexsys_core.sandbox import PhaseSpec
from codexsys_worker.room import Room
from codexsys_worker.stages import StageFailed

MOST_BYTES = 96 * 1024 * 1024
SECONDS = 120.0
TOO_MUCH = 3
"""Exit code of a collector that found a change larger than it may bring."""


@dataclass(frozen=True)
class Collected:
    """A sandbox's work as its collector told it; hostile until the platform applied the patch."""

    patch: bytes = b""
    changed: list[dict[str, Any]] = field(default_factory=list)
    flags: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)


async def collect(
    room: Room, *, name: str, skip: list[dict[str, Any]], env: dict[str, str], tree: bool = True
) -> Collected:
    """Run the collector as a phase of its own and read its tar stream; without `tree`, of outputs alone."""
    request = {
        "base_ref": "refs/heads/base",
        "tree": tree,
        "outputs": True,
        "skip": skip,
        "max_bytes": MOST_BYTES // 2,
    }
    phase = PhaseSpec(
        name=name,
        argv=("codexsys-python", "-m", "codexsys_agent.collector"),
        env={key: value for key, value in env.items() if key.startswith("DUMMY_")},
        files={"collect.json": json.dumps(request).encode()},
        workspace="sealed",
        seconds=SECONDS,
        output="binary",
        output_bytes=MOST_BYTES,
    )
    end, data = await room.read(phase, most=MOST_BYTES)
    if end.exit_code == TOO_MUCH:
        detail = f"The change is larger than the {MOST_BYTES >> 21} MiB that are taken."
        raise StageFailed(Outcome(reason=EndReason.PATCH_REFUSED, detail=detail))
    if end.exit_code != 0:
        raise SandboxError(
            f"The collector ended with {end.exit_code if end.reason is None else end.reason}."
        )
    try:
        return _parse(data)
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
        raise SandboxError("The collector's answer could not be read.") from error


def _parse(data: bytes) -> Collected:
    """Read regular members only, by name; nothing is written to a disk."""
    members: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None:
                members.setdefault(member.name, stream.read())
    meta = json.loads(members["meta.json"])
    outputs = {
        PurePosixPath(name).name: content
        for name, content in members.items()
        if name.startswith("output/")
    }
    return Collected(
        patch=members["patch"],
        changed=[entry for entry in meta["changed"] if isinstance(entry, dict)],
        flags=meta.get("flags", {}),
        outputs=outputs,
    )
