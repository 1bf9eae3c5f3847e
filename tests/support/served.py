"""A small HTTP server, on loopback unless told otherwise, for as long as it is entered."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Served:
    """Answers by a handler, each of whose instances has what `of` names."""

    def __init__(
        self,
        handler: type[BaseHTTPRequestHandler],
        *,
        at: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        **of: Any,
    ) -> None:
        bound = type(handler.__name__, (handler,), of)
        self._server = ThreadingHTTPServer((at, 0), bound)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def origin(self) -> str:
        """What its URLs begin with."""
        return f"http://{self._server.server_address[0]!s}:{self.port}"

    def start(self) -> Self:
        """Serve in a thread until stopped."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
