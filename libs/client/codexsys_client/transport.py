"""HTTP with our key, our errors, and streams that resume."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from codexsys_client.calls import BASE, Call
from codexsys_client.errors import ApiError, ClientError, StoreAway, Unreachable
from codexsys_client.sending import Progress, Watched
from codexsys_client.streams import Place
from codexsys_client.types import Upload

NO_PROXY = ("all://127.0.0.1", "all://localhost", "all://[::1]")


class Transport:
    """Sends requests to one platform."""

    def __init__(
        self, url: str, key: str, *, timeout_seconds: float, patience_seconds: float
    ) -> None:
        self._patience_seconds = patience_seconds
        self._platform = Platform(url, key, timeout_seconds)
        # Only the API's own host gets the key; presigned links lead elsewhere and need none.
        self._http = httpx2.Client(
            timeout=timeout_seconds, follow_redirects=False, mounts=dict.fromkeys(NO_PROXY)
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def call(self, call: Call) -> httpx2.Response:
        """Send a request; raises `ApiError` or `Unreachable`."""
        with self._platform.failures():
            response = self._http.request(**self._platform.request(call))
        return checked(response)

    def upload(self, call: Call, file: Path, progress: Progress | None = None) -> httpx2.Response:
        """Send a request whose JSON is the part `task`, and a zip as the part `file`."""
        with self._platform.failures(), Watched(file, progress) as opened:
            parts = multipart(call, file.name, opened)
            response = self._http.request(**self._platform.request(call, files=parts))
        return checked(response)

    def send(self, form: Upload, file: Path, progress: Progress | None) -> None:
        """Send a zip to the store, without our key; raises `StoreAway`."""
        with at_store(form), Watched(file, progress) as opened:
            parts = {"file": (file.name, opened, "application/zip")}
            stored(self._http.post(form["url"], data=form["fields"], files=parts))

    @contextmanager
    def download(self, url: str) -> Iterator[Iterator[bytes]]:
        """Read a presigned link, in pieces."""
        with self._answer(method="GET", url=url) as response:
            yield response.iter_bytes()

    @contextmanager
    def pieces(self, call: Call) -> Iterator[Iterator[bytes]]:
        """Send a request and read its answer in pieces."""
        with self._answer(**self._platform.request(call)) as response:
            yield response.iter_bytes()

    def follow(self, call: Call, *, after: int) -> Iterator[httpx2.ServerSentEvent]:
        """Yield server-sent events until `done`; a stream that breaks is taken up where it was."""
        place = Place(after, self._platform.url, self._patience_seconds)
        while True:
            broken = None
            try:
                for message in self._stream(call, place):
                    if message.event == "done":
                        return
                    if message.data:  # none comes with a hint when to come again
                        place.took(message.id)
                        yield message
            except ClientError as error:
                broken = error
            time.sleep(place.pause(broken))

    def _stream(self, call: Call, place: Place) -> Iterator[httpx2.ServerSentEvent]:
        with self._answer(**self._platform.stream(call, place.after)) as response:
            place.opened()
            yield from httpx2.EventSource(response)

    @contextmanager
    def _answer(self, **request: Any) -> Iterator[httpx2.Response]:
        with self._platform.failures(), self._http.stream(**request) as response:
            if response.is_error:
                response.read()
            yield checked(response)


class Platform:
    """Where requests go and with which key; shared by both transports."""

    def __init__(self, url: str, key: str, timeout_seconds: float) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout_seconds

    def request(self, call: Call, *, files: Any = None) -> dict[str, Any]:
        """Return the arguments of a request."""
        return {
            "method": call.method,
            "url": self.url + BASE + call.path,
            "params": dict(call.params),
            "headers": self._headers | dict(call.headers),
            "timeout": self._timeout + call.wait_seconds,
            **({"json": call.json} if files is None else {"files": files}),
        }

    def stream(self, call: Call, after: int) -> dict[str, Any]:
        """Return the arguments of a request for server-sent events."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        request = self.request(call)
        return request | {"headers": request["headers"] | headers}

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except httpx2.InvalidURL as error:
            raise Unreachable(f"{self.url} is not an address: {error}") from error
        except httpx2.HTTPError as error:
            said = str(error) or type(error).__name__
            raise Unreachable(f"No answer from {self.url}: {said}") from error


def multipart(call: Call, name: str, opened: Any) -> dict[str, Any]:
    """Return the parts of an upload."""
    return {
        "task": (None, json.dumps(call.json), "application/json"),
        "file": (name, opened, "application/zip"),
    }


@contextmanager
def at_store(form: Upload) -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except (httpx2.InvalidURL, httpx2.HTTPError) as error:
        said = str(error) or type(error).__name__
        raise StoreAway(f"No answer from the store at {form['url']}: {said}") from error


def stored(response: httpx2.Response) -> None:
    """Raise `StoreAway` unless the store has taken what was sent."""
    if not response.is_success:
        raise StoreAway(f"The store answered {response.status_code} at {response.url}")


def checked(response: httpx2.Response) -> httpx2.Response:
    """Return an answer that is none of an error; raises `ApiError`."""
    if not response.is_error:
        return response
    try:
        problem = response.json()
    except json.JSONDecodeError:
        problem = {"detail": response.text[:200], "code": "no_problem_document"}
    raise ApiError(response.status_code, problem if isinstance(problem, dict) else {})
