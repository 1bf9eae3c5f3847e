"""HTTP to the door: one connection a request, patient while the gateway restarts."""

import http.client
import json
import socket
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from codexsys_agent.errors import DoorAnswered, DoorRefused, DoorUnreachable, Stopped
from codexsys_agent.stop import Stop

# The sandbox's real token is added outside; engines only want to see some key.
DUMMY_KEY = "sandbox"
_FINAL = (401, 402, 403)
_LONGEST_WAIT = 15.0


class Door:
    """The only way out. Safe to use from several threads."""

    def __init__(
        self, url: str, *, stop: Stop, patience: float = 300.0, first_wait: float = 0.25
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._prefix = parts.path.rstrip("/")
        self._stop = stop
        self._patience = patience
        self._first_wait = first_wait

    def call(
        self,
        method: str,
        path: str,
        payload: object = None,
        *,
        timeout: float = 60.0,
        patience: float | None = None,
        heeds_stop: bool = True,
    ) -> Any:
        """Send JSON, give the decoded answer; repeated until answered, so it must be idempotent."""
        retries = self._retries(patience, heeds_stop=heeds_stop)
        while True:
            try:
                with self.open(method, path, payload, timeout=timeout, heeds_stop=heeds_stop) as r:
                    body = r.read()
                return json.loads(body) if body else None
            except DoorAnswered as error:
                if error.status not in (429, 502, 503, 504):
                    raise
                retries.wait(error, error.retry_after)
            except (OSError, http.client.HTTPException, ValueError) as error:
                retries.wait(error, None)

    @contextmanager
    def stream(
        self, path: str, payload: object, *, idle: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Post and give the open answer; waits through refused connections and 503 only."""
        retries = self._retries(None, heeds_stop=True)
        with ExitStack() as stack:
            response: http.client.HTTPResponse | None = None
            while response is None:
                try:
                    response = stack.enter_context(self.open("POST", path, payload, timeout=idle))
                except DoorAnswered as error:
                    if error.status != 503:
                        raise
                    retries.wait(error, error.retry_after)
                except ConnectionRefusedError as error:
                    retries.wait(error, None)
            yield response

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        payload: object = None,
        *,
        timeout: float,
        heeds_stop: bool = True,
    ) -> Iterator[http.client.HTTPResponse]:
        """One try: the answer of a 2xx, or the exception that its status stands for."""
        connection = http.client.HTTPConnection(*self._address, timeout=timeout)
        try:
            connection.connect()
            live = connection.sock
            with self._stop.interrupting(lambda: _shut(live) if heeds_stop else None):
                connection.request(method, self._prefix + path, *_encoded(payload))
                response = connection.getresponse()
                if response.status >= 300:
                    raise _refusal(response)
                yield response
        finally:
            connection.close()

    def _retries(self, patience: float | None, *, heeds_stop: bool) -> "_Retries":
        seconds = self._patience if patience is None else patience
        return _Retries(seconds, self._first_wait, self._stop if heeds_stop else Stop())


class _Retries:
    """Growing waits until patience is at its end."""

    def __init__(self, patience: float, first: float, stop: Stop) -> None:
        self._deadline = time.monotonic() + patience
        self._next = first
        self._stop = stop

    def wait(self, error: Exception, retry_after: float | None) -> None:
        if self._stop.requested:
            raise Stopped(self._stop.reason) from error
        seconds = self._next if retry_after is None else retry_after
        if time.monotonic() + seconds > self._deadline:
            if isinstance(error, DoorAnswered):
                raise error
            raise DoorUnreachable(f"the door does not answer: {error!r}") from error
        if self._stop.wait(seconds):
            raise Stopped(self._stop.reason) from error
        self._next = min(self._next * 2, _LONGEST_WAIT)


def _encoded(payload: object) -> tuple[bytes | None, dict[str, str]]:
    headers = {"Authorization": f"Bearer {DUMMY_KEY}", "Connection": "close"}
    if payload is None:
        return None, headers
    if isinstance(payload, bytes):
        return payload, {**headers, "Content-Type": "application/octet-stream"}
    body = json.dumps(payload).encode()
    return body, {**headers, "Content-Type": "application/json"}


def _refusal(response: http.client.HTTPResponse) -> DoorAnswered:
    text = response.read(65_536)
    code, message = "", text[:500].decode("utf-8", "replace")
    with suppress(ValueError, AttributeError):  # a body of another shape is its own message
        error = json.loads(text).get("error") or {}
        code, message = str(error.get("code") or ""), str(error.get("message") or message)
    kind = DoorRefused if response.status in _FINAL else DoorAnswered
    message = " ".join(message.split())[:300]
    return kind(response.status, code, message, _seconds(response.headers.get("Retry-After")))


def _seconds(value: str | None) -> float | None:
    if value is None or not value.strip().isdigit():
        return None
    return min(float(value), 300.0)


def _shut(live: socket.socket) -> None:
    with suppress(OSError):  # it may be closed already
        live.shutdown(socket.SHUT_RDWR)
