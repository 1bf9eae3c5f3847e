"""A TCP proxy that can be told, while it runs, to be slow, silent, cut or rude."""

import asyncio
import socket
import struct
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Self

_PIECE = 65_536
_SLOW_PIECE = 2_048
_CONNECT_SECONDS = 5.0


class Weather(StrEnum):
    """What the way between two parts is like."""

    CLEAR = "clear"
    LATENCY = "latency"
    """Every piece arrives late."""
    SLOW = "slow"
    """A trickle of small pieces."""
    BLACK_HOLE = "black_hole"
    """Nothing arrives and nobody is told; what was sent goes on when the weather clears."""
    CUT = "cut"
    """Connections end at once, new ones too."""
    RESET = "reset"
    """The connections that there are get a TCP reset; new ones are good."""


class FaultProxy:
    """Stands before one server on loopback. `port` is where its clients go."""

    def __init__(self, host: str, port: int, *, at: int = 0) -> None:
        self._target = (host, port)
        self._at = at
        self._server: asyncio.Server | None = None
        self._weather = Weather.CLEAR
        self._seconds = 0.0
        self.opened = 0
        """Connections that were ever asked for."""
        self._open = asyncio.Event()
        self._open.set()
        self._ways: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}

    @property
    def port(self) -> int:
        """Return the port that clients use."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def weather(self) -> Weather:
        """Return what it is like now."""
        return self._weather

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._at)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._end_all(rudely=False)
        ways = list(self._ways)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    def turn(self, weather: Weather, *, seconds: float = 0.2) -> None:
        """Change the weather at once; `seconds` is how late or how slow a piece is."""
        self._weather, self._seconds = weather, seconds
        if weather is Weather.BLACK_HOLE:
            self._open.clear()
        else:
            self._open.set()
        if weather in (Weather.CUT, Weather.RESET):
            self._end_all(rudely=weather is Weather.RESET)

    async def ended(self) -> None:
        """Return once the connections that there are now have ended, and their clients have heard."""
        await asyncio.wait(list(self._ways) or [asyncio.create_task(asyncio.sleep(0))])
        await asyncio.sleep(0.05)  # for a client on this same loop to read it from its socket

    def _end_all(self, *, rudely: bool) -> None:
        for writers in self._ways.values():
            for writer in writers:
                _end(writer, rudely=rudely)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        way = asyncio.current_task()
        assert way is not None
        self._ways[way] = (writer,)
        try:
            await self._open.wait()
            if self._weather is Weather.CUT:
                return
            far_reader, far_writer = await asyncio.wait_for(
                asyncio.open_connection(*self._target), _CONNECT_SECONDS
            )
            self._ways[way] = (writer, far_writer)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except (OSError, RuntimeError, asyncio.CancelledError):
            pass  # either end went away (uvloop says it by a RuntimeError), or the proxy ends
        finally:
            for each in self._ways.pop(way):
                _end(each, rudely=False)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            while piece:
                await self._hold()
                size = self._size(piece)  # the weather may have changed since the last one
                writer.write(piece[:size])
                piece = piece[size:]
                await writer.drain()
        await self._open.wait()
        if writer.can_write_eof():
            writer.write_eof()

    def _size(self, piece: bytes) -> int:
        return _SLOW_PIECE if self._weather is Weather.SLOW else len(piece)

    async def _hold(self) -> None:
        await self._open.wait()
        if self._weather in (Weather.LATENCY, Weather.SLOW):
            await asyncio.sleep(self._seconds)


def _end(writer: asyncio.StreamWriter, *, rudely: bool) -> None:
    if rudely:
        found: socket.socket | None = writer.get_extra_info("socket")
        with suppress(OSError, AttributeError):  # it is closed already
            found.setsockopt(  # type: ignore[union-attr]
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        writer.transport.abort()
        return
    writer.close()
