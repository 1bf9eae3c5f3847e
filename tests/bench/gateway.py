"""What a gateway adds to a model call, and how many streamed calls it bears: beside calls without one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel
from sqlalchemy import text
from tests.bench.place import Place
from tests.bench.processes import Server, free_port, our_gateway
from tests.bench.rounds import percentile
from tests.support.doors import agents_sandbox
from tests.support.models_file import models_file

from codexsys_adapters.sql.engine import Database
from codexsys_core.limits import Limits
from codexsys_wiring.platform import open_platform
from codexsys_wiring.settings import Settings

CHUNKS = 20
"""Of an answer."""
PROMPT_BYTES = 8_000
SANDBOXES, CONNECTIONS = 16, 32
PAIRS = 300
PAUSE_SECONDS = 0.01
"""After each call: an agent does something with an answer before it calls again, and what was said is kept meanwhile."""
LOAD_SECONDS = 8.0
MOST_ADDED_MS, LEAST_PER_CORE = 3.0, 300.0
_MUCH = Limits(calls=10_000, tokens=1_000_000_000, cost_usd=10_000)


class GatewayFigures(BaseModel):
    """Milliseconds of one call after the other, and calls of many at once."""

    direct_ms: list[float]
    through_ms: list[float]
    first_ms: list[float]
    """Until the first chunk, through the gateway."""
    commit_ms: list[float]
    """Of a transaction that changes one row, asked for by this process: each call waits for one."""
    calls: int
    seconds: float
    cpu_seconds: float
    """Of the gateway's process."""

    @property
    def added_ms(self) -> float:
        """Return what the gateway adds, of the medians."""
        return percentile(sorted(self.through_ms), 0.5) - percentile(sorted(self.direct_ms), 0.5)

    @property
    def per_core(self) -> float:
        """Return how many streamed calls one core bears in a second."""
        return self.calls / self.cpu_seconds

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        found = []
        if self.added_ms > MOST_ADDED_MS:
            found.append(f"a gateway adds {self.added_ms:.1f} ms to a call (p50)")
        if self.per_core < LEAST_PER_CORE:
            found.append(f"a core bears {self.per_core:.0f} streamed calls a second")
        return found

    def text(self) -> str:
        """Return the figures as Markdown."""
        direct, through = sorted(self.direct_ms), sorted(self.through_ms)
        first, commit = sorted(self.first_ms), sorted(self.commit_ms)
        return f"""
## Model calls through a gateway

Streams of {CHUNKS} chunks after {PROMPT_BYTES:,} bytes of prompt, from an endpoint that needs no time; each call reserved, settled and recorded.
In pairs, {PAUSE_SECONDS * 1000:g} ms apart.

| one after the other | ms, p50 | ms, p99 |
|---|---|---|
| without a gateway | {percentile(direct, 0.5):.1f} | {percentile(direct, 0.99):.1f} |
| through one | {percentile(through, 0.5):.1f} | {percentile(through, 0.99):.1f} |
| through one, until the first chunk | {percentile(first, 0.5):.1f} | {percentile(first, 0.99):.1f} |
| one row, changed and committed, without anything else | {percentile(commit, 0.5):.1f} | {percentile(commit, 0.99):.1f} |

It adds {self.added_ms:.1f} ms (at most {MOST_ADDED_MS:g}). {CONNECTIONS} at once: {self.calls / self.seconds:.0f} calls/s, {self.per_core:.0f} for each second of CPU (at least {LEAST_PER_CORE:g}).
"""


async def measure_gateway(place: Place) -> GatewayFigures:
    """Call in turns with and without a gateway, then with many at once."""
    async with _endpoint() as port:
        price = {"input_usd": 0.01, "output_usd": 0.01}
        upstream = {"name": "u", "url": f"http://127.0.0.1:{port}/v1", "models": {"m": price}}
        file = models_file(place.folder / "models", [upstream])
        async with our_gateway(place, CODEXSYS_MODELS_FILE=str(file)) as gateway:
            tokens = await _tokens(place)
            async with Database(place.mysql_url, pool_size=1) as database:
                direct = Server(pid=0, port=port)
                figures = await _in_turn(direct, gateway, tokens, database)
            cpu, began = gateway.cpu_seconds(), time.perf_counter()
            calls = await _at_once(gateway, tokens)
            return GatewayFigures(
                **figures,
                calls=calls,
                seconds=time.perf_counter() - began,
                cpu_seconds=gateway.cpu_seconds() - cpu,
            )


async def _in_turn(
    direct: Server, gateway: Server, tokens: list[str], database: Database
) -> dict[str, list[float]]:
    names = ("direct_ms", "through_ms", "first_ms", "commit_ms")
    figures: dict[str, list[float]] = {name: [] for name in names}
    for server in (direct, gateway):
        for _ in range(20):
            await _call(server, tokens[0])
    for number in range(PAIRS):
        token = tokens[number % len(tokens)]
        alone, _ = await _call(direct, token)
        through, first = await _call(gateway, token)
        await asyncio.sleep(PAUSE_SECONDS)
        commit = await _commit(database)
        for name, took in zip(names, (alone, through, first, commit), strict=True):
            figures[name].append(took)
    return figures


async def _commit(database: Database) -> float:
    """Change one row and commit; return the milliseconds."""
    began = time.perf_counter()
    async with database.write() as connection:
        await connection.execute(text("UPDATE tenants SET weight = weight + 0.001"))
    return (time.perf_counter() - began) * 1000


async def _at_once(gateway: Server, tokens: list[str]) -> int:
    """Have many call for a while, and return how many calls were answered."""
    until = time.perf_counter() + LOAD_SECONDS

    async def caller(number: int) -> int:
        made = 0
        while time.perf_counter() < until:
            await _call(gateway, tokens[number % len(tokens)])
            made += 1
        return made

    return sum(await asyncio.gather(*(caller(number) for number in range(CONNECTIONS))))


async def _call(server: Server, token: str) -> tuple[float, float]:
    """Make a streamed call, as the door does: on a connection of its own; return its milliseconds."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(_REQUEST.replace(b"%s", token.encode(), 1))
    head = await reader.readuntil(b"\r\n\r\n")
    first = await reader.readuntil(b"\n\n")
    heard = time.perf_counter()
    rest = await reader.read(-1)
    writer.close()
    if b" 200 " not in head or b"[DONE]" not in first + rest:
        raise RuntimeError(f"a call went wrong: {head!r} {first!r}")
    return (time.perf_counter() - began) * 1000, (heard - began) * 1000


async def _tokens(place: Place) -> list[str]:
    """Make agents' sandboxes."""
    settings = Settings(
        data_dir=place.folder / "agents",
        database_url=place.mysql_url,
        store_url=f"file://{place.folder / 'objects'}",
    )
    tokens = [f"token-{number}" for number in range(SANDBOXES)]
    async with open_platform(settings) as platform:
        for token in tokens:
            await agents_sandbox(platform, _MUCH, model="m", token=token)
    return tokens


@asynccontextmanager
async def _endpoint() -> AsyncIterator[int]:
    """Serve an endpoint in this process that says the same to everybody, at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                last = b"connection: close" in head.lower()
                writer.write(_ANSWER_LAST if last else _ANSWER)
                await writer.drain()
                if last:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", free_port())
    async with server:
        yield int(server.sockets[0].getsockname()[1])


def _answer(*, last: bool) -> bytes:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [
        head | {"choices": [{"index": 0, "delta": {"content": "a word or two "}}]}
        for _ in range(CHUNKS - 2)
    ]
    chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": PROMPT_BYTES // 4, "completion_tokens": 60}
    chunks.append(head | {"choices": [], "usage": usage})
    events = b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks)
    body = events + b"data: [DONE]\n\n"
    kept = b"connection: close\r\n" if last else b""
    length = f"content-length: {len(body)}\r\n".encode()
    kind = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    return kind + kept + length + b"\r\n" + body


def _request() -> bytes:
    message = {"role": "user", "content": "x" * PROMPT_BYTES}
    body = json.dumps({"messages": [message], "max_tokens": 100, "stream": True}).encode()
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
        b"authorization: Bearer %s\r\ncontent-type: application/json\r\n"
        + f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )


_ANSWER, _ANSWER_LAST, _REQUEST = _answer(last=False), _answer(last=True), _request()
