"""How the gateway says no: one shape, the statuses that engines understand."""

from typing import Any

from starlette.responses import JSONResponse

STOPS = 401
"""The one status at which every engine stops for good."""


class Refused(Exception):
    """A request that is not served."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, Any]:
        """Return the error as engines read it."""
        return {"error": {"code": self.code, "message": self.message, "type": "codexsys"}}

    @property
    def response(self) -> JSONResponse:
        """Return the HTTP answer."""
        headers = (
            {"retry-after": str(max(1, round(self.retry_after)))} if self.retry_after else None
        )
        return JSONResponse(self.body, status_code=self.status, headers=headers)


def not_allowed(message: str) -> Refused:
    """Return the refusal of a request that a sandbox may not make."""
    return Refused(400, "not_allowed", message)
