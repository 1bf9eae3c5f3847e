"""Where a stream is that may break: what was taken, and when it is given up."""

from codexsys_client.errors import Unreachable

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Between two tries; a stream that breaks once more without anything new is given up."""


class Place:
    """The last id that was taken; the stream is taken up from there."""

    def __init__(self, after: int, url: str) -> None:
        self.after = after
        self._url = url
        self._broken = 0

    def took(self, number: str) -> None:
        """Note that something new came."""
        self.after, self._broken = int(number), 0

    def pause(self, error: Unreachable | None) -> float:
        """Return how long to wait before the next try; raise when there is none."""
        if self._broken == len(PAUSES):
            raise error or Unreachable(f"The stream of {self._url} ends again and again.")
        self._broken += 1
        return PAUSES[self._broken - 1]
