"""Model calls of the platform's own, at whichever gateway answers."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2

from codexsys_adapters.walls.gateways import SUFFIX
from codexsys_core.errors import PlatformError, Unavailable

ANSWER_SECONDS = 60.0
"""For a whole call, the search for a gateway included."""
CONNECT_SECONDS = 5.0
LARGEST_ANSWER = 1 << 20


class GatewayCalls:
    """Satisfies `codexsys_core.preflight.ModelCalls`.

    Gateways are looked for where doors find them: at the unix sockets of this host, then at the
    URLs. Only a gateway that cannot be connected to is followed by the next one: what may have been
    paid for is not asked for again.
    """

    def __init__(
        self,
        *,
        urls: Sequence[str],
        sockets: Path | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._urls = urls
        self._sockets = sockets
        self._answer_seconds = answer_seconds

    async def answer(self, token: str, request: dict[str, Any]) -> str:
        """Return a model's text."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await self._first(token, request)
        except TimeoutError:
            raise Unavailable("The gateway took too long.", code="gateway_unavailable") from None

    async def _first(self, token: str, request: dict[str, Any]) -> str:
        for url, transport in self._places():
            try:
                return await _asked(url, transport, token, request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                message = f"The gateway gave no answer ({type(error).__name__})."
                raise Unavailable(message, code="gateway_unavailable") from error
        raise Unavailable("No gateway is reached.", code="gateway_unavailable")

    def _places(self) -> Iterator[tuple[str, httpx2.AsyncHTTPTransport]]:
        for path in sorted(self._sockets.glob(f"*{SUFFIX}")) if self._sockets else ():
            yield "http://gateway", httpx2.AsyncHTTPTransport(uds=str(path))
        for url in self._urls:
            yield url, httpx2.AsyncHTTPTransport()


async def _asked(
    url: str, transport: httpx2.AsyncHTTPTransport, token: str, request: dict[str, Any]
) -> str:
    timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client,
        client.stream(
            "POST", f"{url}/v1/chat/completions", json=request, headers=headers
        ) as response,
    ):
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > LARGEST_ANSWER:
                raise Unavailable("The gateway's answer is too large.", code="gateway_unavailable")
        return _text(response.status_code, bytes(body))


def _text(status: int, body: bytes) -> str:
    """Return what the model said, or raise what the gateway said instead."""
    try:
        said = json.loads(body)
        if status == 200:
            return str(said["choices"][0]["message"]["content"] or "")
        error = said["error"]
        problem = PlatformError(str(error["message"]), code=str(error["code"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Unavailable(f"The gateway answered {status}.", code="gateway_unavailable") from None
    raise problem
