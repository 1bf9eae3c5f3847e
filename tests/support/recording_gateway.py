"""A gateway that takes everything and remembers what it was asked, at a port and at a unix socket."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from types import TracebackType
from typing import Any, Self

from typing_extensions import override


class RecordingGateway:
    """`asked` holds path and headers of each request; names of headers are in lower case."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []
        self._port = ThreadingHTTPServer((address, 0), self._answer)
        self._address = address
        self._socket = _UnixServer(str(folder / "gateway.sock"), self._answer)
        (folder / "gateway.sock").chmod(0o666)

    @property
    def port(self) -> int:
        return int(self._port.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self._address}:{self.port}"

    @property
    def hosts(self) -> set[str]:
        """What a door may name as the host."""
        return {f"{self._address}:{self.port}", "gateway"}

    def __enter__(self) -> Self:
        for server in (self._port, self._socket):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (self._port, self._socket):
            server.shutdown()
            server.server_close()

    def _answer(self, *of: Any) -> "_Answer":
        return _Answer(self, *of)


class _UnixServer(ThreadingMixIn, UnixStreamServer):
    """A server at a unix socket."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, gateway: RecordingGateway, *of: Any) -> None:
        self.gateway = gateway
        super().__init__(*of)

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        self.gateway.asked.append((self.path, headers))
        self.send_response(200 if self.path.startswith("/v1/control") else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""
