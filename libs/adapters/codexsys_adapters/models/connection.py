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
REST_SECONDS = 0.2
"""How long an answer may go on after its last event; then its connection is given up."""
_MOST_ERROR_BYTES = 65_536
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
"""What happens before an upstream has anything to be paid for."""
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

    async def events(self, path: str, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Post and yield the JSON of each event, or of the whole answer where it is not a stream."""
        response: httpx2.Response | None = None
        try:
            async with asyncio.timeout(self.first_byte_seconds):
                response = await self.sent(path, body)
            if response.status_code != httpx2.codes.OK:
                raise await self._refusal(response)
            streamed = "event-stream" in response.headers.get("content-type", "")
            pieces = self._pieces(response)
            async for event in _events(pieces) if streamed else _one(pieces):
                yield event
        except TimeoutError as error:
            raise ModelError("The model's endpoint is silent.", spent=True) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            spent = not isinstance(error, _NOT_SENT)
            raise ModelError("The model's endpoint does not answer.", spent=spent) from error
        finally:
            if response is not None:
                await response.aclose()

    async def sent(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        """Post, and return the answer once its headers are here."""
        request = self.client.build_request(
            "POST", self.url.rstrip("/") + path, json=body, headers=self.headers, timeout=PATIENCE
        )
        return await self.client.send(request, stream=True)

    async def _pieces(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield what comes, for as long as something comes."""
        seen, raw = 0, aiter(response.aiter_bytes())
        while True:
            try:
                # Its headers may come long before its first word.
                async with asyncio.timeout(self.idle_seconds if seen else self.first_byte_seconds):
                    piece = await anext(raw)
            except StopAsyncIteration:
                return
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


def _seconds(text: str) -> float | None:
    text = text.strip()
    return float(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else None


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Yield the data of server-sent events: each is one line of JSON; all else is for others."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > MOST_EVENT_BYTES:
            raise ModelError("The model's answer cannot be read.", spent=True)
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
    yield _object(b"".join([piece async for piece in pieces]))


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError("The model's answer cannot be read.", spent=True) from error
    if not isinstance(found, dict):
        raise ModelError("The model's answer cannot be read.", spent=True)
    return found
