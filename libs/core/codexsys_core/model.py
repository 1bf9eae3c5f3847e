"""What answers model calls: an upstream endpoint, or the shipped scripted one."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from codexsys_core.errors import PlatformError


class ModelError(PlatformError):
    """The upstream did not give an answer.

    Codes: model_unavailable (down, too slow, 5xx), model_auth (401, 403), model_refused (400, 404),
    context_length_exceeded, model_busy (429 for too long).
    """

    default_code = "model_unavailable"


class Models(Protocol):
    """Chat completions in OpenAI's shape. Requests are built by the gateway, never passed on."""

    async def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return one completion; raises `ModelError`."""

    def stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield chunks, the last ones with finish_reason and usage; raises `ModelError`."""
