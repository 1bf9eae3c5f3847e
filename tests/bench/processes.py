"""The measured processes: each alone, with an environment and a core of its own, its CPU time counted."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import Measured, Plan
from tests.bench.place import Place

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 30.0
SLOTS = 400
SERVER_CORE, LOAD_CORE = 0, 1
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running process that listens on a port (0: it does not)."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Return user and system time so far."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def ports(self) -> set[int]:
        """Return the local ports of all its TCP connections."""
        own = set()
        for held in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                own.add(str(held.readlink()))
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if f"socket:[{fields[9]}]" in own:
                    found.add(int(fields[1].rpartition(":")[2], 16))
        return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def our_environment(place: Place, name: str, port: int = 0) -> dict[str, str]:
    """Return all settings of one of our services."""
    return {
        "CODEXSYS_DATA_DIR": str(place.folder / name),
        "CODEXSYS_DATABASE_URL": place.mysql_url,
        "CODEXSYS_QUEUE_URL": f"kafka://{place.kafka}",
        "CODEXSYS_REDIS_URL": place.redis_url,
        "CODEXSYS_STORE_URL": place.store_url,
        "CODEXSYS_STORE_KEY": place.s3_key,
        "CODEXSYS_STORE_SECRET": place.s3_secret,
        "CODEXSYS_STORE_BUCKET_SUFFIX": place.suffix,
        "CODEXSYS_API_PORT": str(port),
        "CODEXSYS_SECRET_KEY": "a secret of the benchmark",
        "CODEXSYS_SANDBOX": "dummy",
        "CODEXSYS_RATE_PER_MINUTE": "10000000",
        "CODEXSYS_RATE_BURST": "1000000",
        "CODEXSYS_ALLOW_HTTP_GIT": "1",
        "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
        "CODEXSYS_LOG_LEVEL": "warning",
        "CODEXSYS_TENANT_MAX_QUEUED": "1000000",
        "CODEXSYS_TEST_BENCH_SUFFIX": place.suffix,
    }


def plain_environment(place: Place) -> dict[str, str]:
    return {
        "PLAIN_DATABASE_URL": place.mysql_url.replace("mysql://", "mysql+asyncmy://", 1),
        "PLAIN_KAFKA": place.kafka,
        "PLAIN_TOPIC": place.plain_topic,
    }


@asynccontextmanager
async def our_api(place: Place, *, pinned: bool) -> AsyncIterator[Server]:
    """Serve our API."""
    port = free_port()
    argv = ["-m", "tests.bench.serve", "api"]
    environment = our_environment(place, "api", port)
    async with _running(place, "api", argv, environment, port=port, pinned=pinned) as server:
        yield server


@asynccontextmanager
async def plain_api(place: Place) -> AsyncIterator[Server]:
    """Serve what one would write instead."""
    port = free_port()
    argv = ["-m", "uvicorn", "tests.bench.plain:app", "--port", str(port), "--no-access-log"]
    environment = plain_environment(place)
    async with _running(place, "plain", argv, environment, port=port, pinned=True) as server:
        yield server


@asynccontextmanager
async def our_relay(place: Place, **settings: str) -> AsyncIterator[Server]:
    """Run our relay."""
    argv = ["-m", "tests.bench.serve", "relay"]
    environment = our_environment(place, "relay") | settings
    async with _running(place, "relay", argv, environment, port=0, pinned=False) as server:
        yield server


@asynccontextmanager
async def our_gateway(place: Place, **settings: str) -> AsyncIterator[Server]:
    """Serve our gateway."""
    port = free_port()
    argv = ["-m", "tests.bench.serve", "gateway"]
    environment = our_environment(place, "gateway") | {"CODEXSYS_GATEWAY_PORT": str(port)}
    environment |= settings
    async with _running(place, "gateway", argv, environment, port=port, pinned=False) as server:
        yield server


@asynccontextmanager
async def our_worker(
    place: Place, *, name: str = "worker", slots: int = SLOTS, **settings: str
) -> AsyncIterator[Server]:
    """Run our worker."""
    argv = ["-m", "tests.bench.serve", "worker"]
    environment = our_environment(place, name) | {"CODEXSYS_WORKER_SLOTS": str(slots)}
    environment |= settings
    async with _running(place, name, argv, environment, port=0, pinned=False) as server:
        yield server


async def send(plan: Plan, *, pinned: bool) -> Measured:
    """Run the load generator."""
    process = await asyncio.create_subprocess_exec(
        *_on_core(LOAD_CORE if pinned else None),
        sys.executable,
        "-m",
        "tests.bench.load",
        cwd=ROOT,
        env={"PATH": os.defpath},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(plan.seconds + 90):
        told, _ = await process.communicate(plan.model_dump_json().encode())
    if process.returncode:
        raise RuntimeError("the load generator failed")
    return Measured.model_validate_json(told)


def _on_core(core: int | None) -> list[str]:
    if core is None or (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None:
        return []
    return ["taskset", "-c", str(core)]


@asynccontextmanager
async def _running(
    place: Place,
    name: str,
    argv: list[str],
    environment: Mapping[str, str],
    *,
    port: int,
    pinned: bool,
) -> AsyncIterator[Server]:
    log = place.folder / f"{name}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *_on_core(SERVER_CORE if pinned else None),
            sys.executable,
            *argv,
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", os.defpath), **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await _listens(process, port, log)
        yield Server(pid=process.pid, port=port)
    except Exception:
        print(f"the log of {name} ends with:", log.read_text()[-4000:], sep="\n", file=sys.stderr)
        raise
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listens(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while port:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            if process.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError("the server does not listen") from error
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
