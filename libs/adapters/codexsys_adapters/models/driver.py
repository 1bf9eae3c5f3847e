"""An endpoint of OpenAI's kind, asked through OpenAI's own client."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, AsyncStream, Omit
from typing_extensions import override

from codexsys_adapters.models.connection import PATIENCE, Endpoint


@dataclass(frozen=True)
class OpenAIEndpoint(Endpoint):
    """Sends as the driver does. The answer is read by us: within bounds, and event by event as it came.

    The driver's own streams make an object of each event, which is most of what a call would cost
    the gateway, and know no bound.
    """

    key: str = field(default="", repr=False)

    @cached_property
    def _driver(self) -> AsyncOpenAI:
        return AsyncOpenAI(
            base_url=self.url,
            api_key=self.key or "none",
            default_headers=self.headers,
            http_client=self.client,
            timeout=PATIENCE,
            max_retries=0,  # the gateway's to decide: each try is paid for
        )

    @override
    async def sent(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        """Post, and return the answer once its headers are here."""
        try:
            stream = await self._driver.post(
                path,
                body=body,
                cast_to=object,
                options={} if self.key else {"headers": {"Authorization": Omit()}},
                stream=True,
                stream_cls=AsyncStream[object],
            )
        except APIStatusError as error:
            return error.response
        except APIConnectionError as error:
            raise error.__cause__ or error from None
        return stream.response
