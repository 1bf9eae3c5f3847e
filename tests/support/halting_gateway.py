"""A small gateway that says what it was asked, the second half only when it is told to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

from typing_extensions import override


class HaltingGateway(ThreadingHTTPServer):
    """Listens at a port and, where a folder is given, at `gateway.sock` in it; `go_on` lets the second half go, `revoked` refuses whoever polls."""

    daemon_threads = True

    def __init__(
        self, address: str = "127.0.0.1", port: int = 0, *, folder: Path | None = None
    ) -> None:
        super().__init__((address, port), _Answer)
        self.shared = _UnixGateway(folder / "gateway.sock", self) if folder else None
        self.go_on = threading.Event()
        self.revoked = threading.Event()
        self.polled: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        if self.shared:
            self.shared.stop()


class _UnixGateway(ThreadingMixIn, UnixStreamServer):
    """The same one at a unix socket, which every user may connect to."""

    daemon_threads = True

    def __init__(self, path: Path, gateway: HaltingGateway) -> None:
        self.path = path
        super().__init__(str(path), lambda *of: _Answer(*of, gateway=gateway))
        path.chmod(0o666)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self.path.unlink(missing_ok=True)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, request: Any, address: Any, server: Any, *, gateway: Any = None) -> None:
        self.gateway: HaltingGateway = gateway or server
        super().__init__(request, address, server)

    def do_GET(self) -> None:
        """_Answer a supervisor that asks whether its sandbox may live on."""
        self.gateway.polled.append(self.headers["Authorization"])
        self.send_response(401 if self.gateway.revoked.wait(1) else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        seen = {"path": self.path, "headers": dict(self.headers), "body": body}
        self.send_response(202)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-Inner", "stays outside")
        self.end_headers()
        self.part(json.dumps(seen) + "\n")
        if self.path == "/v1/slow":
            self.gateway.go_on.wait(20)
        self.part("end\n")
        self.part("")

    def part(self, text: str) -> None:
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""
