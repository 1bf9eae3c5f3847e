"""A small OpenAI-compatible model server on loopback; the path's first part chooses its fault."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
_ERRORS = {
    "401": (401, {"message": "Incorrect API key", "code": "invalid_api_key"}),
    "404": (404, {"message": "no such model", "code": "model_not_found"}),
    "context": (400, {"message": "too long", "code": "context_length_exceeded"}),
    "429once": (429, {"message": "slow down", "code": "rate_limit_exceeded"}),
    "500twice": (500, {"message": "oh", "code": "server_error"}),
}
_TIMES = {"429once": 1, "500twice": 2}


class ModelServer:
    """Answers "hello" unless the URL asks for a fault; `calls` counts by fault."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.release = threading.Event()
        handler = type("Handler", (_Handler,), {"models": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def url(self, fault: str = "fine") -> str:
        """Return the base URL of a behaviour."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{fault}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    models: ModelServer
    protocol_version = "HTTP/1.0"

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.path.split("/")[1]
        self.models.calls[fault] += 1
        if fault == "hang":
            self.models.release.wait(30)
        elif fault in _ERRORS and self.models.calls[fault] <= _TIMES.get(fault, 1000):
            status, error = _ERRORS[fault]
            self._json(status, {"error": error})
        elif body.get("stream"):
            self._stream(cut=fault == "cut")
        else:
            message = {"role": "assistant", "content": "hello"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._json(200, _object("chat.completion") | {"choices": [choice], "usage": USAGE})

    def _json(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if cut:  # promises more than it sends
            self.send_header("Content-Length", "100000")
        self.end_headers()
        self._chunk({"choices": [{"index": 0, "delta": {"content": "hel"}}]})
        if cut:
            return
        last = {"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}
        self._chunk({"choices": [last]})
        self._chunk({"choices": [], "usage": USAGE})
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, part: dict[str, Any]) -> None:
        data = json.dumps(_object("chat.completion.chunk") | part)
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()


def _object(kind: str) -> dict[str, Any]:
    return {"id": "one", "object": kind, "created": 1, "model": "small"}
