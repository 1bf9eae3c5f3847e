"""The self-test of a sandbox backend: a real sandbox, whose walls, limits and clean-up are tried."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic import SecretStr

from codexsys_adapters.walls.addresses import TRIE, own_addresses
from codexsys_core.errors import PlatformError
from codexsys_core.ids import TimeOrderedIds, made_at
from codexsys_core.principal import new_secret
from codexsys_core.sandbox import (
    PhaseEnd,
    PhaseSpec,
    SandboxBackend,
    SandboxLimits,
    SandboxRole,
    SandboxSpec,
)

PREFIX = "trial"
SECONDS, PHASE_SECONDS = 180.0, 60.0
"""Of the whole and of each phase: some seconds where nothing else runs. A busy host is no broken wall."""
LIMITS = SandboxLimits(memory_mb=128, pids=48, disk_mb=64, inodes=4096, cpus=1)
_DOOR = ("127.0.0.1", 8700)
_OUTSIDE = (("1.1.1.1", 443), ("8.8.8.8", 53), ("169.254.169.254", 80), ("10.0.2.2", 80))
_INSIDE = Path(__file__).with_name("trial_inside.py")


@dataclass(frozen=True)
class Trial:
    """What one trial found: it holds, or something is lacking that is no danger, or a wall is broken."""

    name: str
    state: Literal["holds", "lacks", "broken"]
    detail: str


async def self_test(backend: SandboxBackend) -> list[Trial]:
    """Try everything in one sandbox, which is gone afterwards."""
    tester = _Tester(backend)
    try:
        async with asyncio.timeout(SECONDS):
            await tester.run()
    except TimeoutError:
        tester.note("time", "broken", f"The self-test was not over after {SECONDS:.0f} seconds.")
    except PlatformError as error:
        tester.note("sandbox", "broken", error.message)
    except OSError as error:
        tester.note("sandbox", "broken", str(error))
    return tester.found


class _Tester:
    """One run of the self-test."""

    def __init__(self, backend: SandboxBackend) -> None:
        self.found: list[Trial] = []
        self._backend = backend
        self._id = TimeOrderedIds().new(PREFIX)
        self._mark = f"codexsys-{self._id}-{secrets.token_hex(4)}"

    def note(self, name: str, state: Literal["holds", "lacks", "broken"], detail: str) -> None:
        self.found.append(Trial(name, state, detail))

    async def run(self) -> None:
        await self._sweep()
        with _listener() as (heard, port):
            async with self._sandbox():
                await self._closed(port)
                await self._online(port)  # some close the network for good once a door is wanted
                await self._door(port)
                await self._memory()
            if heard():
                self.note("network", "broken", "A sandbox reached a port of this host.")
        if self._id in await self._backend.list():
            self.note("clean-up", "broken", "A destroyed sandbox is still listed.")
        self._say_unenforced()

    async def _sweep(self) -> None:
        """Remove what a self-test left that was killed; one that runs beside us is younger."""
        for sandbox_id in await self._backend.list():
            made = made_at(sandbox_id) if sandbox_id.startswith(f"{PREFIX}_") else None
            if made is not None and made.timestamp() < time.time() - 2 * SECONDS:
                await self._backend.destroy(sandbox_id)

    @asynccontextmanager
    async def _sandbox(self) -> AsyncIterator[None]:
        with TemporaryDirectory(prefix="codexsys-self-test-") as folder:
            base = await asyncio.to_thread(_base, Path(folder))
            spec = SandboxSpec(
                id=self._id,
                task_id=self._id,
                tenant_id=PREFIX,
                role=SandboxRole.AGENT,
                limits=LIMITS,
                seconds=SECONDS,
                token=SecretStr(new_secret()),
            )
            try:
                await self._backend.create(spec, base)
                yield
            finally:
                await asyncio.shield(self._backend.destroy(self._id))

    async def _phase(
        self, name: str, network: Literal["none", "public", "door"] = "none", **told: Any
    ) -> tuple[PhaseEnd, dict[str, Any]]:
        phase = PhaseSpec(
            name=name,
            argv=("codexsys-python", "/app/input/inside.py", json.dumps(told)),
            files={"inside.py": _INSIDE.read_bytes()},
            network=network,
            seconds=PHASE_SECONDS,
        )
        await self._backend.start(self._id, phase)
        end = await self._backend.wait(self._id, name)
        said = await self._backend.output(self._id, name, 0)
        try:
            return end, dict(json.loads(said.decode().strip().rpartition("\n")[2] or "{}"))
        except ValueError:
            return end, {}

    async def _closed(self, port: int) -> None:
        """Try the way out, the processes and the disk of a phase without network."""
        places = [*_places(port), _DOOR]
        # A limit that is not promised is not tried: what only watches would end the trial with it.
        many = 0 if "pids" in self._backend.unenforced else LIMITS.pids * 4
        much = 0 if "disk_mb" in self._backend.unenforced else LIMITS.disk_mb * 2
        end, said = await self._phase("closed", reach=places, multiply=many, fill=much)
        self._must_be_shut("closed network", end, said, places, open_to=frozenset())
        loopback = said.get("reach", {}).get(_name(_DOOR))
        if loopback == "connected":
            self.note("closed network", "broken", "A phase without network has a door.")
        self._within("processes", "pids", said.get("multiply"), LIMITS.pids, end)
        # A file system takes and gives a little of its own.
        self._within("disk", "disk_mb", said.get("fill"), LIMITS.disk_mb * 5 // 4, end)

    async def _door(self, port: int) -> None:
        """Try the door, the way past it, and whether a process outlives its phase."""
        places = [*_places(port), _DOOR]
        end, said = await self._phase("inside", "door", reach=places, stay=self._mark)
        if said.get("reach", {}).get(_name(_DOOR)) != "connected":
            self.note("door", "broken", f"The door does not answer in the sandbox ({_told(end)}).")
        else:
            self._must_be_shut("door", end, said, places, open_to=frozenset({_name(_DOOR)}))
        left = await asyncio.to_thread(_with_mark, self._mark)
        state: Literal["holds", "broken"] = "broken" if left else "holds"
        detail = "A process outlived its phase." if left else "no process outlives its phase"
        self.note("clean-up", state, detail)

    async def _online(self, port: int) -> None:
        """Try what setup must not reach; where it cannot go online at all, that is no danger."""
        places = [place for place in _places(port) if place not in _OUTSIDE[:2]]
        end, said = await self._phase("online", "public", reach=[*places, _DOOR])
        if end.reason == "sandbox_failed":
            self.note("setup network", "lacks", f"Setup cannot go online here: {end.detail}")
            return
        reached = [name for name, how in said.get("reach", {}).items() if how == "connected"]
        if not said:
            self.note("setup network", "broken", f"The trial ended early ({_told(end)}).")
        elif reached:
            self.note("setup network", "broken", f"Setup reaches {', '.join(reached)}.")
        else:
            self.note("setup network", "holds", "setup reaches no address of this host")

    async def _memory(self) -> None:
        if "memory_mb" in self._backend.unenforced:
            return
        end, said = await self._phase("memory", swell=LIMITS.memory_mb * 3)
        if end.reason == "out_of_memory":
            self.note("memory", "holds", f"ends at {LIMITS.memory_mb} MiB")
        elif said:
            self.note("memory", "broken", f"A phase took {said.get('swell')} MiB.")
        else:
            self.note("memory", "broken", f"It is not said that memory ran out ({_told(end)}).")

    def _must_be_shut(
        self,
        name: str,
        end: PhaseEnd,
        said: dict[str, Any],
        places: list[tuple[str, int]],
        *,
        open_to: frozenset[str],
    ) -> None:
        found: dict[str, str] = said.get("reach", {})
        if len(found) != len(set(places)):
            self.note(name, "broken", f"The trial ended early ({_told(end)}).")
            return
        free = open_to | {_name(_DOOR)}
        leaks = [
            f"{place} ({how})"
            for place, how in found.items()
            if place not in free and how != "shut"
        ]
        if leaks:
            self.note(name, "broken", f"There is a way to {', '.join(sorted(leaks))}.")
        else:
            self.note(name, "holds", "nothing else can be reached")

    def _within(self, name: str, field: str, got: object, limit: int, end: PhaseEnd) -> None:
        if field in self._backend.unenforced:
            return
        if end.reason in ("too_many_processes", "disk_full") and got is None:
            self.note(name, "holds", f"ends with {end.reason}")
        elif isinstance(got, int) and got <= limit:
            self.note(name, "holds", f"{got} of {limit}")
        else:
            self.note(name, "broken", f"A phase had {got} with a limit of {limit} ({_told(end)}).")

    def _say_unenforced(self) -> None:
        if self._backend.unenforced:
            fields = ", ".join(self._backend.unenforced)
            detail = f"limits_unenforced: this host does not let us hold {fields}; one tenant is the most"
            self.note("limits", "lacks", detail)


@contextmanager
def _listener() -> Iterator[tuple[Any, int]]:
    """Listen at every address of this host, and tell whether anybody came."""
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - for a second, to nobody
        listener.setblocking(False)

        def heard() -> bool:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return False
            connection.close()
            return True

        yield heard, listener.getsockname()[1]


def _places(port: int) -> list[tuple[str, int]]:
    mine = own_addresses(TRIE.read_text()) - {"127.0.0.1"}
    addresses = sorted(each for each in mine if not each.startswith("127."))
    return [*_OUTSIDE, *((each, port) for each in addresses[:16])]


def _base(folder: Path) -> Path:
    base = folder / "base.git"
    subprocess.run(
        ["git", "init", "--bare", "--quiet", str(base)],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=20,
    )
    return base


def _with_mark(mark: str) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            command = Path(entry.path, "cmdline").read_bytes()
        except OSError:
            continue
        if command.rstrip(b"\0").endswith(mark.encode()):
            found.append(int(entry.name))
    return found


def _name(place: tuple[str, int]) -> str:
    return f"{place[0]}:{place[1]}"


def _told(end: PhaseEnd) -> str:
    said = end.reason or f"exit status {end.exit_code}"
    return f"{said}: {end.detail}" if end.detail else said
