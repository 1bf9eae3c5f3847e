"""Ways for a server to be away, and what is promised to whoever asks meanwhile: the table of `docs/reliability.md`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import asyncmy
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from tests.chaos.servers import OwnServers, did
from tests.support.fault_proxy import Weather

DATABASE, STORE = "database_unavailable", "store_unavailable"
FORGETFUL = ("kafka", "redis")
"""What these hold may be lost: once they are dead, they come back with nothing."""
_DROPPED = (
    "add table inet codexsys_outage; "
    "add chain inet codexsys_outage in {{ type filter hook input priority 0; }}; "
    "add rule inet codexsys_outage in tcp dport {port} drop; "
    "add rule inet codexsys_outage in tcp sport {port} drop"
)
"""The black hole that a network makes, where the others are a proxy's."""
DISKS_MB = {"mysql": 220, "redis": 16, "kafka": 96, "minio": 96}


@dataclass(frozen=True)
class Promise:
    """A code is that of a 503; nothing is "as ever"."""

    part: str
    """The name in /readyz."""
    ready: int = 200
    refuses: bool = False
    """Whether it answers, and refuses only what has no room: then those tell who were refused."""
    waits: bool = False
    """Whether what is under way cannot end meanwhile."""
    submits: str = ""
    zips: str = ""
    cancels: str = ""
    reads: str = ""
    doors: str = ""
    """What the gateway says to a token that it does not know."""
    links: bool = True
    """Whether a link that was given out before works."""


_GONE = Promise("database", 503, submits=DATABASE, zips=DATABASE, cancels=DATABASE, reads=DATABASE)
_REFUSES = Promise(
    "database", refuses=True, waits=True, submits=DATABASE, zips=DATABASE, cancels=DATABASE
)
_QUEUE, _REDIS = Promise("queue"), Promise("redis")
_AWAY = ("kill", "freeze", "black hole")
CELLS = {
    ("mysql", "kill"): replace(_GONE, doors=DATABASE),
    **{("mysql", harm): _GONE for harm in ("freeze", "black hole", "dropped packets")},
    **{("mysql", harm): _REFUSES for harm in ("full disk", "held commits")},
    **{("kafka", harm): _QUEUE for harm in (*_AWAY, "full disk")},
    **{("redis", harm): _REDIS for harm in (*_AWAY, "full disk")},
    **{("minio", harm): Promise("store", waits=True, zips=STORE, links=False) for harm in _AWAY},
    ("minio", "full disk"): Promise("store", waits=True, zips=STORE),
}


@asynccontextmanager
async def away(servers: OwnServers, name: str, harm: str) -> AsyncIterator[None]:
    """Do one server harm, and mend it at the end."""
    if harm == "held commits":
        async with _held_commits(servers):
            yield
        return
    await _harm(servers, name, harm)
    try:
        yield
    finally:
        await _mend(servers, name, harm)


@asynccontextmanager
async def _held_commits(servers: OwnServers) -> AsyncIterator[None]:
    """Let statements pass and commits wait, as a MariaDB does whose binary log finds no room.

    That looks for room once a minute, which would be long here.
    """
    url = urlsplit(servers.direct["CODEXSYS_TEST_MYSQL_URL"])
    connection = await asyncmy.connect(
        host=url.hostname, port=url.port, user=url.username, password=url.password
    )
    try:
        async with connection.cursor() as cursor:
            await cursor.execute("BACKUP STAGE START")
            await cursor.execute("BACKUP STAGE BLOCK_COMMIT")
        yield
    finally:
        connection.close()


async def _harm(servers: OwnServers, name: str, harm: str) -> None:
    if harm == "kill":
        await servers.kill(name)
    elif harm == "freeze":
        servers.freeze(name)
    elif harm == "black hole":
        servers.proxies[name].turn(Weather.BLACK_HOLE)
    elif harm == "dropped packets":
        port = servers.proxies[name].port
        await did("nft", _DROPPED.format(port=port))
    elif harm == "full disk":
        await asyncio.to_thread(servers.fill, name)
        if name == "redis":  # which has little to write
            await _until_refused(servers.direct["CODEXSYS_TEST_REDIS_URL"])


async def _until_refused(url: str) -> None:
    async with Redis.from_url(url) as redis:
        with suppress(ResponseError):
            while True:
                await redis.set("outage", bytes(8192))


async def _mend(servers: OwnServers, name: str, harm: str) -> None:
    if harm == "kill":
        await (servers.wipe(name) if name in FORGETFUL else servers.start(name))
    elif harm == "freeze":
        servers.thaw(name)
    elif harm == "black hole":
        servers.proxies[name].turn(Weather.CLEAR)
    elif harm == "dropped packets":
        await did("nft", "delete table inet codexsys_outage")
    elif harm == "full disk":
        servers.free(name)
        if name == "kafka":  # it ends when its disk is full, sooner or later
            await servers.kill(name)
            await servers.start(name)
