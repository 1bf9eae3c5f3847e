"""Signed, short-lived links to objects that the API itself serves."""

from datetime import timedelta

from itsdangerous import BadData, URLSafeSerializer

from codexsys_core.artifact import Link, split_name
from codexsys_core.clock import Clock
from codexsys_core.errors import NotFound


class FileLinks:
    """Makes and reads the tokens of `<public url>/objects/<token>`."""

    def __init__(self, *, public_url: str, secret_key: str | bytes, clock: Clock) -> None:
        self._public_url = public_url.rstrip("/")
        self._signer = URLSafeSerializer(secret_key, salt="codexsys-object-link")
        self._clock = clock

    def make(self, name: str, *, filename: str, content_type: str, seconds: int) -> Link:
        """Return a link that is good for some seconds."""
        split_name(name)
        expires_at = self._clock.now() + timedelta(seconds=seconds)
        token = self._signer.dumps([name, filename, content_type, expires_at.timestamp()])
        return Link(url=f"{self._public_url}/objects/{token}", expires_at=expires_at)

    def verify(self, token: str) -> tuple[str, str, str]:
        """Return (name, filename, content type), or raise `NotFound` for a bad or expired one."""
        try:
            name, filename, content_type, expires_at = self._signer.loads(token)
        except BadData as error:
            raise NotFound("There is no such link.", code="bad_link") from error
        if self._clock.now().timestamp() >= expires_at:
            raise NotFound("This link has expired; ask for a new one.", code="link_expired")
        return name, filename, content_type
