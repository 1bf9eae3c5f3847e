"""What can go wrong between the agent and its surroundings.

AgentError
├── BriefError          the platform laid down something the agent cannot read
├── StreamBroken        a model's reply ended before it was whole; worth another try
├── Stopped             someone asked the agent to stop
└── DoorError
    ├── DoorUnreachable nothing answered for as long as patience lasts
    ├── DoorRefused     401, 402, 403: final, with the code that says why
    └── DoorAnswered    any other error answer
"""


class AgentError(Exception):
    """Root of what the agent raises on purpose."""


class BriefError(AgentError):
    """The brief is missing or does not have the agreed shape."""


class StreamBroken(AgentError):
    """A reply ended before it was whole, or fell silent."""


class Stopped(AgentError):
    """The run was asked to stop; the reason is in the Stop."""


class DoorError(AgentError):
    """Something about the only way out."""


class DoorUnreachable(DoorError):
    """Nothing answered at the door for as long as patience lasts."""


class DoorAnswered(DoorError):
    """The door answered with an error status."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class DoorRefused(DoorAnswered):
    """The sandbox may not do this any more: budget, cancellation, revoked token."""
