"""An OpenAI-compatible upstream, through the platform's one checked way out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import openai

from codexsys_core.model import ModelError

TRIES = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0


class UpstreamModels:
    """Absorbs the upstream's limits and short failures; its key never leaves this object."""

    def __init__(
        self, *, url: str, key: str, client: httpx2.AsyncClient, silence_seconds: float
    ) -> None:
        # Requests are built by the gateway; the driver's overloads know only literal arguments.
        self._client: Any = openai.AsyncOpenAI(
            base_url=url,
            api_key=key or "none",
            http_client=client,
            max_retries=0,
            timeout=httpx2.Timeout(silence_seconds, connect=5.0),
        )

    async def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return one completion."""
        answer = await _patient(
            lambda: self._client.chat.completions.create(**request, stream=False)
        )
        whole: dict[str, Any] = answer.model_dump(mode="json", exclude_unset=True)
        return whole

    async def stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield chunks; only the start of a stream is tried again."""
        options = {"include_usage": True}
        chunks = await _patient(
            lambda: self._client.chat.completions.create(
                **request, stream=True, stream_options=options
            )
        )
        try:
            async for chunk in chunks:
                yield chunk.model_dump(mode="json", exclude_unset=True)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            raise _translated(error) from error
        finally:
            await chunks.close()


async def _patient(call: Callable[[], Awaitable[Any]]) -> Any:
    pause = FIRST_PAUSE_SECONDS
    for left in range(TRIES - 1, -1, -1):
        try:
            return await call()
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            wait = _worth_waiting(error, pause)
            if left == 0 or wait is None:
                raise _translated(error) from error
        await asyncio.sleep(wait)
        pause *= 2
    raise AssertionError


def _worth_waiting(error: Exception, pause: float) -> float | None:
    """Return how long to wait before another try, None when none is worth it."""
    if isinstance(error, openai.APIStatusError):
        if error.status_code == httpx2.codes.TOO_MANY_REQUESTS:
            named = error.response.headers.get("retry-after", "")
            return (
                min(float(named), LONGEST_PAUSE_SECONDS)
                if named.replace(".", "", 1).isdigit()
                else pause
            )
        return pause if error.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR else None
    return pause if isinstance(error, openai.APIConnectionError | httpx2.HTTPError) else None


def _translated(error: Exception) -> ModelError:
    if not isinstance(error, openai.APIStatusError):
        return ModelError("The model's endpoint does not answer.", code="model_unavailable")
    if error.status_code in (401, 403):
        return ModelError("The model's endpoint refused the platform's key.", code="model_auth")
    if "context_length" in str(error.body):
        return ModelError(
            "The conversation no longer fits the model.", code="context_length_exceeded"
        )
    if error.status_code == httpx2.codes.TOO_MANY_REQUESTS:
        return ModelError("The model's endpoint is busy.", code="model_busy")
    if error.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return ModelError("The model's endpoint failed.", code="model_unavailable")
    return ModelError(
        f"The model's endpoint refused the request ({error.status_code}).", code="model_refused"
    )
