"""A model's endpoint that keeps its own books: what each task would have to pay, whatever became of the answer."""

import json
import random
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.served import Served
from typing_extensions import override

FAULTS = ("fine",) * 8 + ("slow",) * 3 + ("cut", "mute", "stall", "uncounted", "500", "429")
_TASK = re.compile(r"task_[0-9a-z]{26}")
_UNPAID = ("500", "429")
_SLOW_SECONDS = 0.2
"""Gateways are killed meanwhile."""
_STALL_SECONDS = 0.6
"""Longer than the gateways wait for more of an answer that has begun."""


class MeteredModel(Served):
    """Fails by a seed; the task is named in its prompt. Prices are micros a token."""

    def __init__(self, *, seed: int, input_price: int, output_price: int) -> None:
        self.billed: Counter[str] = Counter()
        """Millionths of a dollar by task."""
        self.paid_calls: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.prices = (input_price, output_price)
        self.random = random.Random(seed)
        self.mutex = threading.Lock()
        super().__init__(_Handler, model=self)
        self.url = f"{self.origin}/v1"

    def bill(self, body: dict[str, Any]) -> tuple[str, int, int]:
        """Choose what becomes of a call, and write down what it costs; return it with its tokens."""
        task = _TASK.findall(json.dumps(body["messages"]))[0]
        read = len(json.dumps(body["messages"])) // 4
        with self.mutex:
            fault = self.random.choice(FAULTS)
            written = self.random.randint(1, body["max_tokens"])
            self.met[fault] += 1
            if fault not in _UNPAID:
                self.billed[task] += read * self.prices[0] + written * self.prices[1]
                self.paid_calls[task] += 1
        return fault, read, written


class _Handler(BaseHTTPRequestHandler):
    model: MeteredModel
    protocol_version = "HTTP/1.0"

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault, read, written = self.model.bill(body)
        if fault in _UNPAID:
            self.send_response(int(fault))
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        if fault == "mute":
            return
        if fault == "slow":
            time.sleep(_SLOW_SECONDS)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self._say({"choices": [{"index": 0, "delta": {"content": "hel"}}]})
        if fault == "stall":
            time.sleep(_STALL_SECONDS)
        if fault in ("cut", "stall"):
            return
        self._say({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if fault != "uncounted":
            usage = {"prompt_tokens": read, "completion_tokens": written}
            self._say({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _say(self, chunk: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    @override
    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # who asked is gone
            self.close_connection = True
