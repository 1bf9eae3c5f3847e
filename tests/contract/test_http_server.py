"""An HTTP server that leaves: whoever could connect is answered, and nobody waits for it in vain."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from codexsys_wiring.http_server import HttpServer

DRAIN = 0.4


class Shop:
    """An application with a busy till, a long counter and a stream, and the server before it."""

    def __init__(self, **where: Any) -> None:
        self.left = asyncio.Event()
        self.server = HttpServer(
            Starlette(
                routes=[
                    Route("/till", self._till, methods=["POST"]),
                    Route("/counter", self._counter),
                    Route("/stream", self._stream),
                    Route("/readyz", self._counter),
                ]
            ),
            drain_seconds=DRAIN,
            grace_seconds=10,
            leaving=self.left.set,
            **where,
        )

    async def _till(self, request: Request) -> Response:
        await request.body()
        time.sleep(0.005)  # noqa: ASYNC251 - so that others queue before it
        return PlainTextResponse("paid")

    async def _counter(self, _: Request) -> Response:
        return PlainTextResponse("served")

    async def _stream(self, _: Request) -> Response:
        async def words() -> AsyncIterator[bytes]:
            yield b"first "
            await self.left.wait()
            yield b"last"

        return StreamingResponse(words())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[str, int]]:
        serving = asyncio.create_task(self.server.serve())
        async with asyncio.timeout(10):
            while not self.server.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
                await asyncio.sleep(0.01)
        try:
            uds = self.server.config.uds
            yield (uds, 0) if uds else self.server.servers[0].sockets[0].getsockname()
        finally:
            self.server.stop()
            await asyncio.wait_for(serving, 10)


async def ask(address: tuple[str, int], request: str) -> bytes:
    """Send one request on a connection of its own, and return all that comes."""
    reader, writer = await _connect(address)
    try:
        writer.write(request.encode())
        return await reader.read()
    finally:
        writer.close()


async def _connect(address: tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address[1]:
        return await asyncio.open_connection(*address)
    return await asyncio.open_unix_connection(address[0])


async def _pay_until_refused(address: tuple[str, int], seen: Counter[str]) -> None:
    while not seen["refused"]:
        try:
            answer = await ask(
                address,
                "POST /till HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1",
            )
        except (ConnectionRefusedError, FileNotFoundError):
            seen["refused"] += 1
        except OSError as error:
            seen[repr(error)] += 1
        else:
            seen["paid" if answer.endswith(b"paid") else repr(answer)] += 1


async def _all_who_came_in_are_answered(**where: Any) -> None:
    shop, seen = Shop(**where), Counter[str]()
    async with shop.open() as address:
        paying = [asyncio.create_task(_pay_until_refused(address, seen)) for _ in range(50)]
        while seen["paid"] < 50:  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(0.01)
        shop.server.stop()
        await asyncio.wait_for(asyncio.gather(*paying), 30)
    assert seen.keys() == {"paid", "refused"}, seen


def _on_uvloop(main: Coroutine[Any, Any, None]) -> None:
    uvloop.run(main)


@pytest.mark.parametrize("run", [asyncio.run, _on_uvloop], ids=["asyncio", "uvloop"])
def test_whoever_could_connect_is_answered(run: Any) -> None:
    run(_all_who_came_in_are_answered(host="127.0.0.1", port=0))


def test_whoever_found_the_socket_is_answered(tmp_path: Path) -> None:
    uvloop.run(_all_who_came_in_are_answered(uds=str(tmp_path / "a.sock")))


async def test_while_it_drains_it_serves_on_and_ends_each_connection() -> None:
    shop = Shop(host="127.0.0.1", port=0)
    async with shop.open() as address:
        reader, writer = await _connect(address)
        writer.write(b"GET /counter HTTP/1.1\r\nHost: x\r\n\r\n")
        kept = await reader.readuntil(b"served")
        assert b"connection: close" not in kept.lower()
        ready = await ask(address, "GET /readyz HTTP/1.0\r\n\r\n")
        assert ready.startswith(b"HTTP/1.1 200")
        shop.server.stop()
        writer.write(b"GET /counter HTTP/1.1\r\nHost: x\r\n\r\n")
        last = await asyncio.wait_for(reader.read(), 10)
        assert last.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in last.lower()
        ready = await ask(address, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ready.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 2" in ready.lower()
        writer.close()


async def test_a_stream_ends_whole_once_nobody_comes_in_any_more() -> None:
    shop = Shop(host="127.0.0.1", port=0)
    async with shop.open() as address:
        streaming = asyncio.create_task(ask(address, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"))
        await ask(address, "GET /counter HTTP/1.0\r\n\r\n")
        shop.server.stop()
        await shop.left.wait()
        with pytest.raises(ConnectionRefusedError):
            await ask(address, "GET /counter HTTP/1.0\r\n\r\n")
        stream = await asyncio.wait_for(streaming, 10)
    assert stream.endswith(b"6\r\nfirst \r\n4\r\nlast\r\n0\r\n\r\n")


async def test_where_somebody_listens_already_it_ends_and_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shop = Shop(host="127.0.0.1", port=port)
        with pytest.raises(OSError, match=f"cannot listen at 127.0.0.1:{port}: .*in use"):
            await asyncio.wait_for(shop.server.serve(), 10)
