"""An endpoint of OpenAI's kind, asked as OpenAI's own client asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import httpx2
from openai import AsyncOpenAI, Omit
from openai._models import FinalRequestOptions
from typing_extensions import override

from codexsys_adapters.models.connection import PATIENCE, Endpoint


@dataclass(frozen=True)
class OpenAIEndpoint(Endpoint):
    """Sends what the driver writes. When it goes out is ours to say, and the answer is read by us.

    The driver writes and sends in one go, makes an object of each event of an answer, which is most
    of what a call would cost the gateway, and reads without a bound: also what an endpoint says of
    an error.
    """

    key: str = field(default="", repr=False)

    @cached_property
    def _driver(self) -> "_Driver":
        return _Driver(
            base_url=self.url,
            api_key=self.key or "none",
            default_headers=self.headers,
            http_client=self.client,
            timeout=PATIENCE,
            max_retries=0,  # the gateway's to decide: each try is paid for
        )

    @override
    def written(self, path: str, content: bytes) -> httpx2.Request:
        """Return the request as it will go out."""
        headers = {} if self.key else {"Authorization": Omit()}
        return self._driver.written(path, content, headers)


class _Driver(AsyncOpenAI):
    def written(
        self, path: str, content: bytes, headers: Mapping[str, str | Omit]
    ) -> httpx2.Request:
        """Return the request that the driver would send: its headers, its key, its address."""
        return self._build_request(
            FinalRequestOptions.construct(method="post", url=path, content=content, headers=headers)
        )
