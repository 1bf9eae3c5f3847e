"""Values that are kept encrypted, and the port of what seals and opens them."""

from typing import ClassVar, Protocol

from codexsys_core.errors import PlatformError


class SecretUnreadable(PlatformError):
    """A sealed value does not open: the platform's key is another one, or it is not in its row."""

    default_code: ClassVar[str] = "secret_unreadable"


class SecretBox(Protocol):
    """Seals short texts for rows. Nothing waits and nothing is remembered; safe from any task."""

    def seal(self, text: str, *, row: str) -> str:
        """Return what may be stored; it opens only with the same `row`, so it cannot be moved."""

    def open(self, sealed: str, *, row: str) -> str:
        """Return the text again; raises `SecretUnreadable`."""

    def digest(self, text: str) -> str:
        """Return a keyed hash in hex: the same for the same text, and no help for guessing it."""
