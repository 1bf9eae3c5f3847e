"""One try at an upstream: a request out, its events in, and whatever happens as a `ModelError`."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

from codexsys_core.model import ModelError

PATIENCE = httpx2.Timeout(None, connect=5.0, write=60.0, pool=5.0)
"""How long an answer may take is told to the endpoint's object."""
MOST_EVENT_BYTES = 8 * 1024 * 1024
MOST_ANSWER_BYTES = 64 * 1024 * 1024
ANSWER_SECONDS = 1800.0
"""How long an answer may take in all, also one that says again and again that it goes on."""
REST_SECONDS = 0.2
"""How long an answer may go on after its last event; then its connection is given up."""
_MOST_ERROR_BYTES = 65_536
_LONGEST_NAME = 200
_LONGEST_WAIT_SECONDS = 86_400.0
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
"""What happens before an upstream has anything to be paid for."""
_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_AUTH = (401, 402, 403)
_TOO_MANY = 429
_NOT_FOUND = 404
_FAILED = 500
_OVERLOADED = 529


@dataclass(frozen=True)
class Endpoint:
    """Where an upstream is, and how long it may be silent. Its key never leaves this object."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    client: httpx2.AsyncClient
    first_byte_seconds: float
    idle_seconds: float
    answer_seconds: float = ANSWER_SECONDS

    def events(self, path: str, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Write a request, and send it when the first event is asked for.

        Each event's JSON is yielded, or that of the whole answer where it is not a stream.
        """
        try:
            return self._events(self.written(path, _json(body)))
        except httpx2.InvalidURL as error:
            raise ModelError("The model's endpoint does not answer.") from error

    def written(self, path: str, content: bytes) -> httpx2.Request:
        """Return the request as it will go out."""
        headers = {**self.headers, "content-type": "application/json"}
        return self.client.build_request(
            "POST", self.url.rstrip("/") + path, content=content, headers=headers, timeout=PATIENCE
        )

    async def _events(self, request: httpx2.Request) -> AsyncIterator[dict[str, Any]]:
        response: httpx2.Response | None = None
        try:
            async with asyncio.timeout(self.first_byte_seconds):
                response = await self.client.send(request, stream=True)
            if response.status_code != httpx2.codes.OK:
                raise await self._refusal(response)
            streamed = "event-stream" in response.headers.get("content-type", "")
            pieces = self._pieces(response)
            async for event in _events(pieces) if streamed else _one(pieces):
                yield event
        except TimeoutError as error:
            raise ModelError("The model's endpoint is silent.", spent=True) from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            spent = not isinstance(error, _NOT_SENT)
            raise ModelError("The model's endpoint does not answer.", spent=spent) from error
        finally:
            if response is not None:
                await response.aclose()

    async def _pieces(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield what comes, for as long as something comes."""
        seen, raw, loop = 0, aiter(response.aiter_bytes()), asyncio.get_running_loop()
        ends_at = loop.time() + self.answer_seconds
        while True:
            # Its headers may come long before its first word.
            patience = self.idle_seconds if seen else self.first_byte_seconds
            try:
                async with asyncio.timeout_at(min(loop.time() + patience, ends_at)):
                    piece = await anext(raw)
            except StopAsyncIteration:
                return
            if loop.time() > ends_at:
                raise ModelError("The model's answer takes too long.", spent=True)
            seen += len(piece)
            if seen > MOST_ANSWER_BYTES:
                raise ModelError("The model's answer is too long.", spent=True)
            yield piece

    async def _refusal(self, response: httpx2.Response) -> ModelError:
        data = b""
        async with asyncio.timeout(self.idle_seconds):
            async for piece in response.aiter_bytes():
                data += piece
                if len(data) > _MOST_ERROR_BYTES:
                    break
        return refusal(response.status_code, data, response.headers.get("retry-after", ""))


def refusal(status: int, said: bytes, retry_after: str = "") -> ModelError:
    """Return what a status means. What the upstream said is not passed on: it may name its key."""
    if status in _AUTH:
        return ModelError("The model's endpoint refused the platform's key.", code="model_auth")
    if status in (_TOO_MANY, _OVERLOADED):
        return ModelError(
            "The model's endpoint is busy.", code="model_busy", retry_after=_seconds(retry_after)
        )
    if status >= _FAILED:
        return ModelError("The model's endpoint failed.", retry_after=_seconds(retry_after))
    if b"context_length" in said or b"prompt is too long" in said:
        return ModelError(
            "The conversation no longer fits the model.", code="context_length_exceeded"
        )
    code = "model_unknown" if status == _NOT_FOUND else "model_refused"
    return ModelError(f"The model's endpoint refused the request ({status}).", code=code)


def short(name: object) -> str:
    """Return a name that an endpoint gave to something; each chunk says it again."""
    return name[:_LONGEST_NAME] if isinstance(name, str) else ""


def count(given: object) -> int | None:
    """Return what an endpoint counted, if it is a count."""
    plain = isinstance(given, int) and not isinstance(given, bool) and given >= 0
    return given if plain else None  # type: ignore[return-value]


def _seconds(text: str) -> float | None:
    text = text.strip()
    plain = text.replace(".", "", 1).isdecimal() and text.isascii()
    return min(float(text), _LONGEST_WAIT_SECONDS) if plain else None


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Yield the data of server-sent events: each is one line of JSON; all else is for others."""
    rest = bytearray()
    async for piece in pieces:
        rest += piece
        if len(rest) > MOST_EVENT_BYTES:
            raise ModelError("The model's answer cannot be read.", spent=True)
        if b"\n" not in piece:  # what comes byte by byte is looked through once
            continue
        *lines, rest = rest.split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                await _rest_of(pieces)
                return
            yield _object(data)


async def _rest_of(pieces: AsyncIterator[bytes]) -> None:
    """Read an answer to its end, so that its connection serves the next call; for a moment only."""
    with suppress(TimeoutError, ModelError, httpx2.HTTPError, httpx2.StreamError):
        async with asyncio.timeout(REST_SECONDS):
            async for _ in pieces:
                pass


async def _one(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    whole = bytearray()
    async for piece in pieces:
        whole += piece
        if len(whole) > MOST_EVENT_BYTES:
            raise ModelError("The model's answer cannot be read.", spent=True)
    yield _object(whole)


def _json(body: dict[str, Any]) -> bytes:
    """Return a body as JSON; what an agent said may have half characters in it, and they are no UTF-8."""
    return _written(body).encode(errors="replace")


def _object(data: bytes | bytearray) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError("The model's answer cannot be read.", spent=True) from error
    if not isinstance(found, dict):
        raise ModelError("The model's answer cannot be read.", spent=True)
    return found
