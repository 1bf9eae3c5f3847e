"""An HTTP server that leaves without failing a request, one of several behind whatever spreads requests over them.

Asked to stop, it

1. goes on for the drain's time, while /readyz fails and each answer ends its connection: whoever looks at readiness
   goes elsewhere, and no connection stays idle in a pool from which a request could still come;
2. lets nobody in any more, and turns away nobody who is in: newcomers' first packets are dropped, those who wait are
   let in, and then the listener closes. So a connection is either refused, and the request taken elsewhere, whatever
   it is, or answered;
3. ends streams and long polls, which are taken up elsewhere, and lets all else finish within the grace.
"""

import asyncio
import ctypes
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KEEP_ALIVE_SECONDS = 75
"""Longer than pools keep a connection: whoever closes first must be the one that sends."""
HANDOVER_SECONDS = 0.2
"""A connection that was being made is made by then."""
_LONGEST_HANDOVER_SECONDS = 3.0
_SO_ATTACH_FILTER = 26
_NO_SYN = (
    (0x30, 0, 0, 13),  # the flags of a TCP header
    (0x54, 0, 0, 0x12),  # SYN and ACK of them
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # then drop it,
    (0x06, 0, 0, 0xFFFFFFFF),  # else take it
)
LET_GO = "codexsys.let_go"
"""Extension of a request: sends what is still to be sent although the other side takes nothing, and waits for it no more."""
_STUCK_SECONDS = 30.0
_LEAVING = JSONResponse(
    {"ready": False, "problems": {"service": "It was asked to stop."}},
    status_code=503,
    headers={"Retry-After": "2", "Cache-Control": "no-store"},
)


class QuietServer(uvicorn.Server):
    """An HTTP server in our own loop: signals are `serve`'s business."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        """Leave signal handlers alone."""
        yield


class HttpServer(QuietServer):
    """Serves an application until stopped; `leaving` is called once its streams have to end.

    It listens where it is told, or goes on with a `listener` that does already.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        drain_seconds: float,
        grace_seconds: float,
        leaving: Callable[[], None],
        listener: socket.socket | None = None,
        **where: Any,
    ) -> None:
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody's word on who asks, or how, is taken
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(grace_seconds)),
            **where,
        )
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._drained_at: float | None = None
        self._leaving = leaving
        self._listener = listener

    def stop(self) -> None:
        """Begin to leave."""
        self.should_exit = True

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen; raises `OSError` where that cannot be."""
        try:
            await super().startup([self._listener] if self._listener else sockets)
        except SystemExit as end:  # of a task, which would leave the process hanging
            where = self.config.uds or f"{self.config.host}:{self.config.port}"
            raise OSError(f"cannot listen at {where}: {end.__context__}") from end.__context__

    @override
    async def on_tick(self, counter: int) -> bool:
        """Say whether it is time to leave: when the drain's time is over."""
        if not await super().on_tick(counter):
            return False
        now = asyncio.get_running_loop().time()
        if self._drained_at is None:
            self._drained_at = now + self._drain_seconds
        return now >= self._drained_at

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Leave."""
        if self._drain_seconds:
            await self._let_nobody_in()
        # Before streams end: a connection that is kept alive after one could go back to a pool.
        for connection in list(self.server_state.connections):
            connection.shutdown()
        self._leaving()
        await super().shutdown(sockets)

    async def _let_nobody_in(self) -> None:
        if self.config.uds:
            await asyncio.to_thread(Path(self.config.uds).unlink, missing_ok=True)
        else:
            for server in self.servers:
                for listener in server.sockets:
                    _drop_newcomers(listener.fileno())
        await asyncio.sleep(HANDOVER_SECONDS)
        with suppress(TimeoutError):  # somebody connects and says nothing
            async with asyncio.timeout(_LONGEST_HANDOVER_SECONDS):
                while self._waiting():  # noqa: ASYNC110 - a listener's queue tells nobody
                    await asyncio.sleep(0.01)
                for server in self.servers:
                    server.close()
                while self._unheard():  # noqa: ASYNC110 - nor does a connection
                    await asyncio.sleep(0.01)

    def _unheard(self) -> bool:
        """Say whether somebody was let in and has not said yet what is wanted."""
        found = self.server_state.connections
        return any(getattr(connection, "cycle", None) is None for connection in found)

    def _waiting(self) -> bool:
        """Say whether somebody has connected and was not let in yet."""
        look = select.poll()
        for server in self.servers:
            for listener in server.sockets:
                look.register(listener.fileno(), select.POLLIN)
        return bool(look.poll(0))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if self.should_exit and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        if scope["type"] == "http":
            scope.setdefault("extensions", {})[LET_GO] = partial(self._let_go, scope)
        asked = _LEAVING if self.should_exit and scope.get("path") == "/readyz" else self._app
        await asked(scope, receive, marked)

    def _let_go(self, scope: Scope) -> None:
        for connection in self.server_state.connections:
            if isinstance(connection, HttpToolsProtocol) and connection.scope is scope:
                connection.cycle.keep_alive = False
                connection.flow.resume_writing()
                asyncio.get_running_loop().call_later(_STUCK_SECONDS, _abort, connection.transport)


def _abort(transport: asyncio.Transport) -> None:
    """End a connection whose other side has still not taken what was sent long ago."""
    if transport.get_write_buffer_size():
        transport.abort()


def _drop_newcomers(listener: int) -> None:
    """Have the kernel drop what asks a listener for a new connection; it is asked again a second later."""
    code = b"".join(struct.pack("=HBBI", *step) for step in _NO_SYN)
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(kept))
    # Where there are no filters, who comes in the listener's last moment may be turned away.
    with socket.socket(fileno=os.dup(listener)) as same, suppress(OSError):
        same.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
