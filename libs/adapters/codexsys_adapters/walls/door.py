"""The door: what listens inside an agent's sandbox and leads to a gateway, adding the token."""

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

from codexsys_adapters.walls.gateways import Gateways, rounds

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: object) -> object:
        """Stand in for what the standard library has from 3.12 on."""
        return method


PORT = 8700
_HOLD_SECONDS = 300.0
_RETRY_SECONDS = 0.25
_ANSWER_SECONDS = 900.0
_LARGEST_BODY = 128 * 1024 * 1024
_SMALL_BODY = 1024 * 1024
_CONNECTIONS = 64
_CHUNK = 65_536
_REQUEST_HEADERS = ("accept", "content-type", "idempotency-key")
_RESPONSE_HEADERS = ("content-type", "retry-after", "etag", "location")
_PATH = re.compile(r"/v1(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+(?:\?[!-~]*)?")
_LOOK_SECONDS = 0.1
_NOT_REPEATED = ("/v1/chat/completions", "/v1/responses")


class Door(ThreadingHTTPServer):
    """Serves a listener that somebody else opened in the sandbox's network namespace."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, gateways: Gateways, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passage, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.gateways = gateways
        self.token = token
        self.closed = threading.Event()
        self.large = threading.Lock()
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        self._asking: dict[socket.socket, None] = {}
        self._mutex = threading.Lock()

    def open(self) -> None:
        """Serve from a thread."""
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Stop serving; requests that wait for a gateway give up."""
        self.closed.set()
        self.shutdown()
        self.server_close()

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection while there is room; whoever is longest at asking makes room."""
        taken = self._room.acquire(blocking=False)
        while not taken and not self.closed.is_set():
            self._turn_away()
            taken = self._room.acquire(timeout=_LOOK_SECONDS)
        if taken:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.asked(request)
            self._room.release()

    def asks(self, client: socket.socket) -> None:
        """Note that the next request of a connection has not come yet, or not whole."""
        with self._mutex:
            self._asking[client] = None

    def asked(self, client: socket.socket) -> None:
        """Note that a request has come whole, or that none will come any more."""
        with self._mutex:
            self._asking.pop(client, None)

    def _turn_away(self) -> None:
        with self._mutex:
            client = next(iter(self._asking), None)
            if client:
                del self._asking[client]
                with contextlib.suppress(OSError):  # it has just gone by itself
                    client.shutdown(socket.SHUT_RDWR)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: the one at the other end is hostile, and its failures are its own."""


class _Passage(BaseHTTPRequestHandler):
    """One connection from inside; each request is made anew towards a gateway."""

    protocol_version = "HTTP/1.1"
    server: Door
    server_version = "codexsys-door"
    sys_version = ""
    timeout: ClassVar[float | None] = _ANSWER_SECONDS

    @override
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Say nothing: what passes here is logged by the gateway."""

    @override
    def handle_one_request(self) -> None:
        self.server.asks(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        self._pass()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _pass(self) -> None:
        if not _PATH.fullmatch(self.path):  # nothing that a gateway or a proxy could read otherwise
            self._refuse(404, "not_found", "the door leads to /v1/ only")
            return
        lengths = self.headers.get_all("Content-Length") or ["0"]
        length = lengths[0]
        if "Transfer-Encoding" in self.headers or len(lengths) > 1 or not length.isdecimal():
            self._refuse(411, "length_required", "send a Content-Length")
        elif int(length) > _LARGEST_BODY:
            self._refuse(413, "too_large", f"a body has at most {_LARGEST_BODY} bytes")
        elif int(length) > _SMALL_BODY:
            with self.server.large:  # one at a time, so that the memory it takes is bounded
                self._carry(self.rfile.read(int(length)))
        else:
            self._carry(self.rfile.read(int(length)))

    def _carry(self, body: bytes) -> None:
        """Hold the request until a gateway takes it; what may have been paid for is not repeated."""
        self.server.asked(self.connection)
        end = time.monotonic() + _HOLD_SECONDS
        for gateway in rounds(self.server.gateways):
            if time.monotonic() > end or self.server.closed.is_set():
                break
            if gateway is None:
                self.server.closed.wait(_RETRY_SECONDS)
                continue
            connection = gateway.open(_ANSWER_SECONDS)
            with contextlib.closing(connection):
                try:
                    connection.connect()
                except OSError:
                    self.server.closed.wait(_RETRY_SECONDS)
                    continue
                try:
                    path = gateway.prefix + self.path
                    connection.request(self.command, path, body, self._sent())
                    response = connection.getresponse()
                except (OSError, http.client.HTTPException):
                    if self.path.split("?")[0] in _NOT_REPEATED:
                        break
                    self.server.closed.wait(_RETRY_SECONDS)
                    continue
                self._answer(response)
                return
        self._refuse(503, "gateway_unreachable", "no gateway answered", retry=True)

    def _sent(self) -> dict[str, str]:
        kept = {name: self.headers[name] for name in _REQUEST_HEADERS if name in self.headers}
        return kept | {"Authorization": f"Bearer {self.server.token}"}

    def _answer(self, response: http.client.HTTPResponse) -> None:
        self.send_response(response.status)
        for name in _RESPONSE_HEADERS:
            value = response.headers.get(name)
            if value is not None:
                self.send_header(name, value)
        bodiless = response.status in (204, 304)
        unknown = response.length is None and not bodiless
        chunked = unknown and self.request_version != "HTTP/1.0"
        self.close_connection = self.close_connection or (unknown and not chunked)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif response.length is not None and not bodiless:
            self.send_header("Content-Length", str(response.length))
        self.end_headers()
        while data := response.read1(_CHUNK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, code: str, message: str, *, retry: bool = False) -> None:
        error = {"error": {"code": code, "message": message, "type": "codexsys"}}
        data = json.dumps(error).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry:
            self.send_header("Retry-After", "5")
        if status in (404, 411, 413):  # its body is still to come
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
