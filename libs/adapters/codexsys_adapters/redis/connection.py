"""The two connections that a process keeps to Redis: one for commands, one to listen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from codexsys_adapters.redis.hub import GONE, Hub
from codexsys_core.errors import Invalid, Unavailable

ANSWER_SECONDS = 2.0
CONNECT_SECONDS = 2.0


@dataclass(frozen=True)
class Connection:
    """What the ready set and the hints need; `namespace` starts every key and channel."""

    commands: Redis
    hub: Hub
    namespace: str


@contextmanager
def answers() -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except GONE as error:
        raise Unavailable("Redis does not answer.", code="redis_unavailable") from error


@asynccontextmanager
async def open_redis(url: str, *, namespace: str = "codexsys") -> AsyncIterator[Connection]:
    """Open `memory:` or `redis://host:port/db`; a server that is away is no error here."""
    commands, listening = _clients(url)
    hub = Hub(client=listening)
    running = asyncio.create_task(hub.run(), name="redis-hub")
    try:
        yield Connection(commands=commands, hub=hub, namespace=namespace)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # it was asked to
            await running
        await listening.aclose()
        await commands.aclose()


def _clients(url: str) -> tuple[Redis, Redis]:
    if url == "memory:":
        return _in_memory()
    if urlsplit(url).scheme not in {"redis", "rediss"}:
        raise Invalid("The Redis URL must be memory: or redis://host:port/db.")
    return _real(url, answer_seconds=ANSWER_SECONDS), _real(url, answer_seconds=None)


def _in_memory() -> tuple[Redis, Redis]:
    from fakeredis import FakeAsyncRedis, FakeServer  # which services on a real one need not load

    server = FakeServer()
    return (
        FakeAsyncRedis(server=server, decode_responses=True),
        FakeAsyncRedis(server=server, decode_responses=True),
    )


def _real(url: str, *, answer_seconds: float | None) -> Redis:
    # No driver retries: a pop whose answer was lost must not be repeated, and the hub has its own.
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=answer_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
