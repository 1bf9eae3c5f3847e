"""MariaDB, Redis, Kafka and MinIO for one chaos run alone, each behind a fault proxy."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.distributed import free_port
from tests.support.fault_proxy import FaultProxy

STACK = Path(__file__).parents[1] / "stack" / "stack"
PORTS = {"mysql": 306, "redis": 379, "kafka": 92, "minio": 900}
NAMES = tuple(PORTS)
_OFFSETS = (306, 379, 92, 93, 900, 901)
_BASES = range(20_000, 31_000, 1_000)


class OwnServers:
    """Servers of this run's own: they may be killed, frozen and wiped; those on small disks, filled.

    `direct` holds their addresses as `tests/stack` names them; `proxies` what services go through.
    """

    def __init__(
        self, names: Sequence[str] = NAMES, *, disks_mb: Mapping[str, int] | None = None
    ) -> None:
        self._names = names
        self._disks_mb = dict(disks_mb or {})
        self._folder = Path(tempfile.mkdtemp(prefix="codexsys-chaos-"))
        self._base = next(base for base in _BASES if _free(base))
        self._kafka_proxy = free_port()
        self._stack = AsyncExitStack()
        self.direct: dict[str, str] = {}
        self.proxies: dict[str, FaultProxy] = {}

    async def __aenter__(self) -> Self:
        shared = Path(os.environ.get("CODEXSYS_STACK_DIR", _cache() / "codexsys-stack"))
        (shared / "lib").mkdir(parents=True, exist_ok=True)
        (self._folder / "lib").symlink_to(shared / "lib")
        try:
            for name, size in self._disks_mb.items():
                self._data(name).mkdir(parents=True)
                options = ("-t", "tmpfs", "-o", f"size={size}m", "tmpfs")
                await did("mount", *options, str(self._data(name)))
            await self._run("up", *self._names)
            lines = (await self._run("env", *self._names)).splitlines()
            self.direct = dict(line.removeprefix("export ").split("=", 1) for line in lines)
            for name in self._names:
                at = self._kafka_proxy if name == "kafka" else 0
                proxy = FaultProxy("127.0.0.1", self._base + PORTS[name], at=at)
                self.proxies[name] = await self._stack.enter_async_context(proxy)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        await self._end()

    def settings(self, database: str, redis_number: int) -> dict[str, str]:
        """Return the settings by which services reach these servers through the proxies."""
        ports = {name: proxy.port for name, proxy in self.proxies.items()}
        return {
            "CODEXSYS_DATABASE_URL": f"mysql://codexsys:codexsys@127.0.0.1:{ports['mysql']}/{database}",
            "CODEXSYS_QUEUE_URL": f"kafka://127.0.0.1:{ports['kafka']}",
            "CODEXSYS_REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/{redis_number}",
            "CODEXSYS_STORE_URL": f"s3://127.0.0.1:{ports['minio']}",
        }

    async def kill(self, name: str) -> None:
        """kill -9."""
        await self._run("kill", name)

    async def start(self, name: str) -> None:
        """Start a dead server on what it had stored."""
        await self._run("up", "--keep", name)

    async def wipe(self, name: str) -> None:
        """Start a dead server with nothing stored."""
        await self._run("up", name)

    def freeze(self, name: str) -> None:
        """SIGSTOP: it keeps its connections and says nothing."""
        os.kill(self.pid(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        os.kill(self.pid(name), signal.SIGCONT)

    def fill(self, name: str) -> None:
        """Leave no room on a server's disk; it must be one of its own."""
        assert name in self._disks_mb
        data = self._data(name)
        for grown in (*data.glob("ib*"), *data.glob("*/*.ibd")):  # InnoDB's; our copy is sparse
            with grown.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, grown.stat().st_size))
        with self._filler(name).open("xb") as filler:
            while room := _room(data):
                with suppress(OSError):  # the server has written meanwhile
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), room)

    def free(self, name: str) -> None:
        """Give the room back."""
        self._filler(name).unlink()

    def pid(self, name: str) -> int:
        """Return a server's process id."""
        return int((self._folder / "run" / f"{name}.pid").read_text().split()[0])

    async def _end(self) -> None:
        for name in self._names:
            try:
                self.thaw(name)
            except (ProcessLookupError, FileNotFoundError):
                continue
        await self._run("down", *self._names)
        for name in self._disks_mb:
            if self._data(name).is_mount():
                await did("umount", str(self._data(name)))
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _data(self, name: str) -> Path:
        return self._folder / "data" / name

    def _filler(self, name: str) -> Path:
        return self._data(name) / "filler"

    async def _run(self, *arguments: str) -> str:
        own = {
            "CODEXSYS_STACK_DIR": str(self._folder),
            "CODEXSYS_STACK_PORTS": str(self._base),
            "CODEXSYS_STACK_KAFKA_ADVERTISED": f"127.0.0.1:{self._kafka_proxy}",
        }
        ended = await asyncio.to_thread(
            subprocess.run,
            [str(STACK), *arguments],
            env=dict(os.environ) | own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"stack {arguments}: {ended.stderr}"
        return ended.stdout


async def did(*argv: str) -> None:
    """Run a command that must succeed."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, wrong = await process.communicate()
    assert process.returncode == 0, f"{argv}: {wrong.decode()}"


def _room(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))


def _free(base: int) -> bool:
    for offset in _OFFSETS:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", base + offset))
            except OSError:
                return False
    return True
