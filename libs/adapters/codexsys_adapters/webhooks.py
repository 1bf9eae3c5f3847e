"""Webhooks over HTTP, by the checked way out."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import httpx2

from codexsys_adapters.outbound import Outbound, OutboundFailure
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Invalid
from codexsys_core.webhook import Answer

TRY_SECONDS = 10.0


class HttpWebhooks:
    """Satisfies `codexsys_core.webhook.Webhooks`; a redirect is an answer like any other and not followed."""

    def __init__(self, outbound: Outbound, *, try_seconds: float = TRY_SECONDS) -> None:
        self._outbound = outbound
        self._client = outbound.async_client(timeout=try_seconds)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open connections as they are needed."""
        await self._stack.enter_async_context(self._client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close them."""
        await self._stack.aclose()

    async def check(self, url: str) -> None:
        """Raise for a form or an address that is refused; a host that is not known now may be later."""
        self._outbound.vet(url)
        try:
            await self._outbound.resolve(url)
        except OutboundFailure as failure:
            if failure.reason == EndReason.ADDRESS_DENIED:
                raise Invalid(failure.detail, code="address_denied") from failure

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send it once; what the receiver says beside its status is not read."""
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as response:
                return Answer(response.status_code)
        except httpx2.HTTPError as error:
            return Answer(0, str(error) or type(error).__name__)
