"""Where a stream is that may break: what was taken, and when it is given up."""

import time

from codexsys_client.errors import ApiError, ClientError, Unreachable

PATIENCE_SECONDS = 30.0
"""How long whoever does not answer is asked again: longer than a restart takes."""
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 4.0
_LASTING_SECONDS = 5.0
_PASSING = frozenset({429, 502, 503, 504})


class Patience:
    """Pauses between tries, longer and longer, until there have been enough of them."""

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Begin anew: something came."""
        self._left, self._next = self._seconds, _FIRST_PAUSE_SECONDS

    def pause(self, error: ClientError) -> float:
        """Return how long to wait before the next try; raise what does not pass, or for too long."""
        passes = isinstance(error, Unreachable) or (
            isinstance(error, ApiError) and error.status in _PASSING
        )
        if not passes or self._left <= 0:
            raise error
        pause = min(self._next, self._left)
        self._left -= pause
        self._next = min(2 * self._next, _LONGEST_PAUSE_SECONDS)
        return pause


class Place:
    """The last id that was taken; the stream is taken up from there."""

    def __init__(self, after: int, url: str, patience_seconds: float) -> None:
        self.after = after
        self._url = url
        self._patience = Patience(patience_seconds)
        self._opened: float | None = None

    def opened(self) -> None:
        """Note that the platform answers again."""
        self._opened = time.monotonic()

    def took(self, number: str) -> None:
        """Note that something new came."""
        self.after = int(number)
        self._patience.renew()

    def pause(self, error: ClientError | None) -> float:
        """Return how long to wait before the next try; raise when there is none."""
        if self._opened is not None and time.monotonic() - self._opened > _LASTING_SECONDS:
            self._patience.renew()  # it was a stream, though a quiet one
        self._opened = None
        ended = Unreachable(f"The stream of {self._url} ends again and again.")
        return self._patience.pause(error or ended)
