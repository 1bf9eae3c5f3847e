"""The backend's side of the dummy: folders, detached processes and what they left."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from codexsys_adapters.disks.alone import alone
from codexsys_adapters.dummy.part import TERMINATED, Part, part
from codexsys_adapters.walls.place import here
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import (
    Created,
    PhaseEnd,
    PhaseSpec,
    Progress,
    SandboxSpec,
    silent,
)

_SHORTEST_POLL_SECONDS, _POLL_SECONDS = 0.002, 0.02
_REFUSED = "refused/"
# Waits as long as it is told, holding the lock, and moves the end into its place: no interpreter,
# so that thousands of dummies are cheap.
_PROCESS = """
end=over
trap 'end=stopped' TERM
exec 9>"$1.lock" && flock 9 && echo $$ >&9 && echo ready || exit 1
exec >/dev/null 2>&1
if [ "$2" != 0 ]; then
  sleep "$2" 9>&- &
  # A signal from here on reaches sleep, too, which ends the wait; but one that comes before it has
  # become sleep may be lost on it.
  if [ $end = over ]; then wait $!; fi
  if [ $end != over ]; then kill -9 $!; fi
fi
mv "$1.$end" "$1.end"
"""


class DummyBackend:
    """Sandboxes that only pretend; each is a folder, each phase a detached process."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._place = here("dummy", str(root.resolve()))

    @property
    def place(self) -> str:
        """Return a name of the folder on this host since it started."""
        return self._place

    @property
    def unenforced(self) -> tuple[str, ...]:
        """Return no limit: there is nothing to limit."""
        return ()

    async def create(
        self,
        spec: SandboxSpec,
        base: Path | None,
        *,
        progress: Progress = silent,  # noqa: ARG002 - nothing takes long
    ) -> Created:
        """Make the folder; the base is looked at, not copied."""
        if base is None:
            self._folder(spec.id)
            return Created()
        image = spec.image or ""
        if image.startswith(_REFUSED):
            code = image.removeprefix(_REFUSED)
            raise SandboxError(f"The image {image} was told to be refused.", code=code)
        folder = _made(self._root / spec.id, base)
        limits = {"output_bytes": spec.limits.output_bytes, "seconds": spec.seconds}
        (folder / "spec.json").write_text(json.dumps(limits))
        return Created()

    async def keep(self, sandbox_id: str, layer: str) -> None:  # noqa: ARG002
        """Keep nothing: there are no files."""
        self._folder(sandbox_id)

    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        """Start the phase's process unless this name was started before."""
        await asyncio.to_thread(_begin, self._folder(sandbox_id), phase)

    async def wait(self, sandbox_id: str, phase: str) -> PhaseEnd:
        """Return the phase's end as its process wrote it down."""
        folder = self._folder(sandbox_id)
        if not (folder / f"{phase}.json").exists():
            raise SandboxError(f"phase {phase} was not started", code="sandbox_lost")
        await _ended(folder, phase)
        end = folder / f"{phase}.end"
        if end.exists():
            return PhaseEnd.model_validate_json(end.read_text())
        if (folder / f"{phase}.killed").exists():
            return PhaseEnd(reason="signalled")
        return PhaseEnd(reason="sandbox_lost", detail="the phase's process is gone")

    async def output(
        self, sandbox_id: str, phase: str, offset: int, *, limit: int = 65_536
    ) -> bytes:
        """Return captured output, waiting up to a second for more while the phase runs."""
        folder = self._folder(sandbox_id)
        for _ in range(50):
            running = _running(folder, phase)
            data = _read(folder / f"{phase}.out", offset, limit)
            if data or not running:
                return data
            await asyncio.sleep(_POLL_SECONDS)
        return b""

    async def signal(self, sandbox_id: str, *, kill: bool = False) -> None:
        """Stop or kill whatever phase runs."""
        _stop(self._folder(sandbox_id), kill=kill)

    async def list(self) -> list[str]:
        """Return the folders' names."""
        if not self._root.is_dir():
            return []
        return sorted(entry.name for entry in self._root.iterdir() if entry.is_dir())

    async def destroy(self, sandbox_id: str) -> None:
        """Kill what runs and remove the folder."""
        folder = self._root / sandbox_id
        if not folder.is_dir():
            return
        # Others may be at it, too, or have died at it: every part may be gone already.
        with suppress(FileNotFoundError):
            _stop(folder, kill=True)
        for told in list(folder.glob("*.json")):
            await _ended(folder, told.stem)
        await asyncio.to_thread(_remove, folder)

    def _folder(self, sandbox_id: str) -> Path:
        folder = self._root / sandbox_id
        if not (folder / "spec.json").exists():
            raise SandboxError(f"sandbox {sandbox_id} is not here", code="sandbox_lost")
        return folder


def _begin(folder: Path, phase: PhaseSpec) -> None:
    told = folder / f"{phase.name}.json"
    with alone(folder):
        if told.exists():
            return
        spec = json.loads((folder / "spec.json").read_text())
        steer = _steer(folder, phase)
        if steer.get("START_FAILURE") == "1":
            raise SandboxError(f"phase {phase.name} was told not to start")
        if steer.get("BUG") == "1":
            raise RuntimeError(f"phase {phase.name} was told to fail as nobody foresaw")
        played = part(
            phase.name,
            steer,
            seconds=min(phase.seconds, spec["seconds"]),
            output_bytes=phase.output_bytes or spec["output_bytes"],
        )
        told.write_text(json.dumps({"steer": steer}))
        _launch(folder, phase.name, played)


def _steer(folder: Path, phase: PhaseSpec) -> dict[str, str]:
    """Return what the phase's variables say; a collect phase also hears what earlier ones said."""
    kind = phase.name.split("-")[0].upper()
    steer: dict[str, str] = {}
    if kind == "COLLECT":
        for told in folder.glob("*.json"):
            earlier = json.loads(told.read_text()).get("steer", {})
            steer |= {key: earlier[key] for key in ("PATCH", "COLLECT") if key in earlier}
    plain = {k.removeprefix("DUMMY_"): v for k, v in phase.env.items() if k.startswith("DUMMY_")}
    own = {k.removeprefix(f"{kind}_"): v for k, v in plain.items() if k.startswith(f"{kind}_")}
    steer = steer | plain | own
    return steer | _asked(steer, phase)


def _asked(steer: Mapping[str, str], phase: PhaseSpec) -> dict[str, str]:
    """Let an agent that has a question left end as one that waits for its answer."""
    brief = phase.files.get("brief.json")
    if brief is None or "ASK" not in steer:
        return {}
    questions, answers = json.loads(steer["ASK"]), json.loads(brief).get("answers", [])
    if len(answers) >= len(questions):
        return {}
    members = json.loads(steer.get("COLLECT", "{}"))
    members["output/question.json"] = json.dumps(questions[len(answers)])
    return {"EXIT": "11", "COLLECT": json.dumps(members)}


def _made(folder: Path, base: Path) -> Path:
    if not base.is_dir():
        raise SandboxError(f"the base {base.name} is not a directory")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _stop(folder: Path, *, kill: bool) -> None:
    for told in list(folder.glob("*.json")):
        if not _running(folder, told.stem):
            continue
        if kill:
            told.with_suffix(".killed").touch()
        _send(folder, told.stem, signal.SIGKILL if kill else signal.SIGTERM)


def _remove(folder: Path) -> None:
    while folder.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)


async def _ended(folder: Path, name: str) -> None:
    pause = _SHORTEST_POLL_SECONDS
    while _running(folder, name):  # the process is nobody's child
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _POLL_SECONDS)


def _launch(folder: Path, name: str, played: Part) -> None:
    """Start the process; it is nobody's child, and has the lock when this returns."""
    (folder / f"{name}.out").write_bytes(played.output)
    (folder / f"{name}.over").write_text(json.dumps(played.end))
    (folder / f"{name}.stopped").write_text(json.dumps(TERMINATED))
    argv = ["/usr/bin/setsid", "--fork", "/bin/sh", "-c", _PROCESS, "dummy"]
    started = subprocess.run(
        [*argv, name, f"{played.seconds:g}"],
        env={"PATH": "/usr/bin:/bin"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=30,
    )
    if b"ready" not in started.stdout:
        raise SandboxError(f"phase {name} could not start: {started.stderr.decode()[-500:]}")


def _running(folder: Path, name: str) -> bool:
    """Say whether the process still holds its lock, which no other process can inherit."""
    try:
        with (folder / f"{name}.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _send(folder: Path, name: str, number: int) -> None:
    try:
        os.killpg(int((folder / f"{name}.lock").read_text()), number)
    except ProcessLookupError:
        return  # it ended by itself meanwhile


def _read(path: Path, offset: int, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""
