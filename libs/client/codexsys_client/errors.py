"""What a call can raise."""

from typing import Any


class ClientError(Exception):
    """A call did not work."""


class Unreachable(ClientError):
    """Nobody answered at this address."""


class StoreAway(Unreachable):
    """The object store did not take a zip that was sent to it directly."""


class ApiError(ClientError):
    """The platform refused, with an RFC 9457 problem."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.code: str = str(problem.get("code", "unknown"))
        self.title: str = str(problem.get("title") or f"HTTP {status}")
        self.detail: str = str(problem.get("detail", ""))
        self.request_id: str = str(problem.get("request_id", ""))
        self.errors: list[dict[str, str]] = problem.get("errors") or []
        super().__init__(f"{self.title}: {self.detail} ({self.code})")
