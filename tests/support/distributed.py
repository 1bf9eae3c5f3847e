"""The platform as separate processes on real servers, each service by its own entry point."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx2
from aiokafka.admin import AIOKafkaAdminClient
from minio import Minio
from redis.asyncio import Redis
from sqlalchemy import make_url, text

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.migrations import upgrade

T = TypeVar("T")
REDIS_NUMBERS = 16
_ENTRY = "from codexsys_{0}.main import main; main()"
_GONE = (ConnectionError, httpx2.TransportError)


async def eventually(
    look: Callable[[], Awaitable[T | None]], *, seconds: float, what: str, every: float = 0.1
) -> T:
    """Look until there is something to see; fail when there is nothing in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (found := await look()) is None:
        assert loop.time() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(every)
    return found


def free_port() -> int:
    """Return a port that nobody listens on, and that no connection goes out from while its service restarts."""
    for _ in range(1000):
        port = random.randrange(10_000, 30_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def required(name: str, where: Mapping[str, str] | None = None) -> str:
    """Return the address of a real server; these tests are nothing without it."""
    value = (os.environ if where is None else where).get(name, "")
    assert value, f"{name} is not set; run `make e2e`, which starts the servers and names them"
    return value


def own_redis(number: int) -> int:
    """Return a Redis number that no other process of this run of tests uses (pytest-xdist's are gw0, gw1, …)."""
    process = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return number + REDIS_NUMBERS * int(process)


@dataclass
class Servers:
    """A database, topics, buckets and a Redis number of our own on the shared servers, or on those in `where`.

    Topics of our own are groups of our own: a consumer that was killed is waited for by its group.
    """

    redis_number: int
    where: Mapping[str, str] | None = None
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def __post_init__(self) -> None:
        server = make_url(required("CODEXSYS_TEST_MYSQL_URL", self.where))
        self._server = server.render_as_string(hide_password=False)
        self.name = f"e2e_{self.mark}"
        self.database = server.set(database=self.name).render_as_string(hide_password=False)
        self.kafka = required("CODEXSYS_TEST_KAFKA", self.where)
        redis = urlsplit(required("CODEXSYS_TEST_REDIS_URL", self.where))
        number = self.redis_number if self.where else own_redis(self.redis_number)
        self.redis = redis._replace(path=f"/{number}").geturl()
        self.s3 = urlsplit(required("CODEXSYS_TEST_S3_URL", self.where))
        self.s3_key = required("CODEXSYS_TEST_S3_KEY", self.where)
        self.s3_secret = required("CODEXSYS_TEST_S3_SECRET", self.where)
        self.suffix = f"-e2e-{self.mark}"

    async def make(self) -> None:
        """Make the database with its tables, and empty the Redis number."""
        async with Database(self._server) as server, server.write() as connection:
            await connection.execute(text(f"CREATE DATABASE {self.name} CHARACTER SET utf8mb4"))
        await upgrade(self.database)
        await self.flush()

    async def remove(self) -> None:
        """Leave nothing on the servers."""
        async with Database(self._server) as server, server.write() as connection:
            await connection.execute(text(f"DROP DATABASE {self.name}"))
        await self.flush()
        await asyncio.to_thread(self.remove_buckets)
        if self.where is None:  # one's own may have been killed
            await self.remove_topics()

    async def flush(self) -> None:
        """Empty the Redis number."""
        async with Redis.from_url(self.redis) as redis:
            await redis.flushdb()

    async def remove_topics(self) -> None:
        """Remove the topics of this mark."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            ours = [name for name in await admin.list_topics() if name.endswith(self.suffix)]
            if ours:
                await admin.delete_topics(ours)
        finally:
            await admin.close()

    def remove_buckets(self) -> None:
        """Remove the buckets of this mark with all they hold."""
        store = Minio(
            self.s3.netloc,
            access_key=self.s3_key,
            secret_key=self.s3_secret,
            secure=self.s3.scheme == "https",
        )
        for bucket in store.list_buckets():
            if bucket.name.endswith(self.suffix):
                for item in store.list_objects(bucket.name, recursive=True):
                    store.remove_object(bucket.name, str(item.object_name))
                store.remove_bucket(bucket.name)

    def environment(self) -> dict[str, str]:
        """Return the settings that name these servers."""
        return {
            "CODEXSYS_DATABASE_URL": self.database,
            "CODEXSYS_QUEUE_URL": f"kafka://{self.kafka}",
            "CODEXSYS_QUEUE_SUFFIX": self.suffix,
            "CODEXSYS_REDIS_URL": self.redis,
            "CODEXSYS_STORE_URL": f"s3://{self.s3.netloc}",
            "CODEXSYS_STORE_KEY": self.s3_key,
            "CODEXSYS_STORE_SECRET": self.s3_secret,
            "CODEXSYS_STORE_BUCKET_SUFFIX": self.suffix,
        }


@dataclass
class Running:
    """One service's process."""

    name: str
    process: "subprocess.Popen[bytes]"
    url: str
    log: Path
    data: Path

    def kill(self) -> None:
        """kill -9, of this process alone."""
        self.process.kill()
        self.process.wait()

    async def stop(self) -> None:
        """SIGTERM; a service that does not end by itself in time is a fault."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self.process.wait, 40)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop:\n{self.said()}") from None

    def said(self, most: int = 4000) -> str:
        """Return the end of what it logged."""
        return self.log.read_text(errors="replace")[-most:]


class Fleet:
    """Services as separate processes, on servers of their own."""

    def __init__(
        self,
        *,
        folder: Path,
        redis_number: int,
        settings: dict[str, str],
        where: Mapping[str, str] | None = None,
        gateways_at: str = "127.0.0.1",
    ) -> None:
        """`gateways_at` is where sandboxes reach the gateways, which listen there and on loopback."""
        self.servers = Servers(redis_number, where)
        self._gateways_at = gateways_at
        self.folder = folder
        self.running: list[Running] = []
        self._ports: dict[str, int] = {}
        self._settings = settings
        self._gateway_ports = (free_port(), free_port())

    def environment(self, name: str) -> dict[str, str]:
        """Return the whole environment of one process."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "CODEXSYS_SECRET_KEY": f"for-tests-{self.servers.mark}-{self.servers.mark}",
            "CODEXSYS_DATA_DIR": str(self.folder / name),
            "CODEXSYS_GATEWAY_URL": ",".join(
                f"http://{self._gateways_at}:{port}" for port in self._gateway_ports
            ),
            "CODEXSYS_LOG_FORMAT": "json",
            "CODEXSYS_DRAIN_SECONDS": "0",  # nobody spreads requests, unless a test says so
            "CODEXSYS_GRACE_SECONDS": "20",
            **self.servers.environment(),
            **self._settings,
        }

    async def start(self, service: str, number: int, **settings: str) -> Running:
        """Start one service and wait until all of its parts answer."""
        running = self.again(f"{service}-{number}", **settings)
        await self.until_ready(running)
        return running

    def port(self, name: str) -> int:
        """Return where a service listens, or will."""
        if name not in self._ports:
            service, _, number = name.rpartition("-")
            gateway = service == "gateway"
            self._ports[name] = self._gateway_ports[int(number) - 1] if gateway else free_port()
        return self._ports[name]

    def again(self, name: str, **settings: str) -> Running:
        """Start one service where it was before, if it was, and wait for nothing."""
        service, port = name.rpartition("-")[0], self.port(name)
        kind = service if service in ("api", "gateway") else "health"
        environment = self.environment(name) | {f"CODEXSYS_{kind.upper()}_PORT": str(port)}
        log = self.folder / f"{name}.log"
        process = self._spawn(service, environment | settings, log)
        running = Running(name, process, f"http://127.0.0.1:{port}", log, self.folder / name)
        self.running.append(running)
        return running

    def _spawn(
        self, service: str, environment: dict[str, str], log: Path
    ) -> "subprocess.Popen[bytes]":
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-c", _ENTRY.format(service)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def until_ready(self, running: Running) -> None:
        """Wait until a service and all of its parts answer."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:

            async def ready() -> bool | None:
                assert running.process.poll() is None, f"{running.name} ended:\n{running.said()}"
                with contextlib.suppress(*_GONE):  # it does not listen yet
                    answer = await client.get(f"{running.url}/readyz")
                    return None if answer.json()["problems"] else True
                return None

            await eventually(ready, seconds=60, what=f"{running.name} is ready")

    def named(self, service: str) -> list[Running]:
        """Return the living processes of one service."""
        return [
            each
            for each in self.running
            if each.name.startswith(service) and each.process.poll() is None
        ]

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.servers.make()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ask all to stop, at the same time, and remove what is theirs."""
        try:
            ends = await asyncio.gather(
                *(each.stop() for each in self.running), return_exceptions=True
            )
            for end in ends:
                if isinstance(end, BaseException):
                    raise end
        finally:
            await self.servers.remove()
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def whole_fleet(
    folder: Path, *, redis_number: int, settings: dict[str, str]
) -> AsyncIterator[Fleet]:
    """2 APIs, 2 workers, 2 gateways and a relay."""
    fleet = Fleet(folder=folder, redis_number=redis_number, settings=settings)
    async with fleet:
        counts = {"gateway": 2, "relay": 1, "worker": 2, "api": 2}
        await asyncio.gather(
            *(fleet.start(each, n + 1) for each, count in counts.items() for n in range(count))
        )
        yield fleet
