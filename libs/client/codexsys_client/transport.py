"""HTTP with our key, our errors, and streams that resume."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from codexsys_client.errors import ApiError, Unreachable

BASE = "/api/v1"
_NO_PROXY = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_STREAM_ENDS = 5
"""How often in a row a stream may break without anything new before we give up."""


class Transport:
    """Sends requests to one platform."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout_seconds
        # Only the API's own host gets the key; presigned links lead elsewhere and need none.
        self._http = httpx2.Client(
            timeout=timeout_seconds, follow_redirects=False, mounts=dict.fromkeys(_NO_PROXY)
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        wait_seconds: float = 0,
        **request: Any,
    ) -> httpx2.Response:
        """Send a request to the API; raises `ApiError` or `Unreachable`."""
        with self._failures():
            response = self._http.request(
                method,
                self._url + BASE + path,
                headers=self._headers | (headers or {}),
                timeout=self._timeout + wait_seconds,
                **request,
            )
        if response.status_code >= 400:
            raise _error(response)
        return response

    @contextmanager
    def download(self, url: str) -> Iterator[Iterator[bytes]]:
        """Read a presigned link, in pieces."""
        with self._failures(), self._http.stream("GET", url) as response:
            if response.status_code >= 400:
                response.read()
                raise _error(response)
            yield response.iter_bytes()

    def follow(
        self, path: str, *, after: int, params: dict[str, str] | None = None
    ) -> Iterator[httpx2.ServerSentEvent]:
        """Yield server-sent events until `done`; a stream that breaks is taken up where it was."""
        broken = 0
        while True:
            try:
                for message in self._stream(path, after, params or {}):
                    if message.event == "done":
                        return
                    after, broken = int(message.id), 0
                    yield message
                broken += 1
            except Unreachable:
                broken += 1
                if broken >= _STREAM_ENDS:
                    raise
            if broken >= _STREAM_ENDS:
                raise Unreachable(f"The stream of {self._url} ends again and again.")

    def _stream(
        self, path: str, after: int, params: dict[str, str]
    ) -> Iterator[httpx2.ServerSentEvent]:
        headers = self._headers | {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        with (
            self._failures(),
            self._http.stream(
                "GET", self._url + BASE + path, params=params, headers=headers
            ) as response,
        ):
            if response.status_code >= 400:
                response.read()
                raise _error(response)
            yield from httpx2.EventSource(response)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except httpx2.InvalidURL as error:
            raise Unreachable(f"{self._url} is not an address: {error}") from error
        except httpx2.HTTPError as error:
            said = str(error) or type(error).__name__
            raise Unreachable(f"No answer from {self._url}: {said}") from error


def _error(response: httpx2.Response) -> ApiError:
    try:
        problem = response.json()
    except json.JSONDecodeError:
        problem = {"detail": response.text[:200], "code": "no_problem_document"}
    return ApiError(response.status_code, problem if isinstance(problem, dict) else {})
