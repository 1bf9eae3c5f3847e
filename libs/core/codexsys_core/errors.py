"""What can go wrong on our side, as a machine code and a sentence for a person.

PlatformError
├── Invalid           the request is wrong                       422 (or the code's own status)
├── Unauthorized      who are you?                               401
├── Forbidden         you may not                                403
├── NotFound          not there, or another tenant's             404
├── Conflict          it is already otherwise                    409
├── TooLarge          more than we take                          413
├── RateLimited       slower, please                             429
├── Unavailable       a part that we need does not answer        503
├── AtCapacity        the tenant runs as much as it may          (waits; in quota)
└── SandboxError      a sandbox could not be made or reached     (retried)

A user's failing work is never an exception: it is an `Outcome` with an end reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FieldError:
    """One wrong field, by JSON pointer."""

    pointer: str
    detail: str


class PlatformError(Exception):
    """Something of ours failed or was refused; `code` is stable, `message` is for a person."""

    default_code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fields: Sequence[FieldError] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.fields = tuple(fields)
        self.retry_after = retry_after


class Invalid(PlatformError):
    """The request is wrong and nothing was changed."""

    default_code = "invalid"


class Unauthorized(PlatformError):
    """No key, or one that is not good."""

    default_code = "unauthorized"


class Forbidden(PlatformError):
    """The principal may not do this."""

    default_code = "forbidden"


class NotFound(PlatformError):
    """There is no such thing for this tenant."""

    default_code = "not_found"


class Conflict(PlatformError):
    """The thing is already in another state."""

    default_code = "conflict"


class TooLarge(PlatformError):
    """The body or a part of it is larger than the platform takes."""

    default_code = "too_large"


class RateLimited(PlatformError):
    """Too many requests for now; `policy` names what was counted, how many of it there may be, and in how many seconds (0: ever)."""

    default_code = "rate_limited"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        policy: tuple[str, int, float] | None = None,
    ) -> None:
        super().__init__(message, code=code, retry_after=retry_after)
        self.policy = policy


class Unavailable(PlatformError):
    """A part that is needed does not answer; trying again later may help."""

    default_code = "unavailable"


class SandboxError(PlatformError):
    """A sandbox could not be made, reached or read; another try may work."""

    default_code = "sandbox_error"
