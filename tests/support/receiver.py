"""A webhook's receiver over HTTP on loopback: keeps what comes, answers as it is told."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from tests.support.served import Served
from typing_extensions import override


class Message(NamedTuple):
    """One request."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def signed_by(self, secret: str) -> bool:
        """Say whether it is signed with this key, as Standard Webhooks has it."""
        told = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode()
        mac = hmac.new(secret.encode(), told + self.body, hashlib.sha256).digest()
        return self.headers.get("webhook-signature") == f"v1,{base64.b64encode(mac).decode()}"


class Receiver(Served):
    """Answers 204, but for the first ones, which `statuses` says; 0 is a connection that just ends."""

    def __init__(self, *statuses: int, at: str = "127.0.0.1") -> None:
        self.statuses = list(statuses)
        self.tried: list[Message] = []
        self.taken: list[Message] = []
        super().__init__(_Handler, at=at, receiver=self)

    @property
    def url(self) -> str:
        return f"{self.origin}/hook"


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = Message({name.lower(): value for name, value in self.headers.items()}, body)
        self.receiver.tried.append(message)
        status = self.receiver.statuses.pop(0) if self.receiver.statuses else 204
        if 200 <= status < 300:
            self.receiver.taken.append(message)
        if status:
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
