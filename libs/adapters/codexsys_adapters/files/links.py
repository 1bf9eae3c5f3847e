"""Signed, short-lived links and forms for objects that the API itself serves and takes."""

from datetime import datetime, timedelta
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from codexsys_core.artifact import Link, UploadForm, split_name
from codexsys_core.clock import Clock
from codexsys_core.errors import NotFound


class FileLinks:
    """Makes and reads the tokens of `<public url>/objects/<token>`: GET for links, POST for forms."""

    def __init__(self, *, public_url: str, secret_key: str | bytes, clock: Clock) -> None:
        self._public_url = public_url.rstrip("/")
        self._signer = URLSafeSerializer(secret_key, salt="codexsys-object-link")
        self._forms = URLSafeSerializer(secret_key, salt="codexsys-object-form")
        self._clock = clock

    def make(self, name: str, *, filename: str, content_type: str, seconds: int) -> Link:
        """Return a link that is good for some seconds."""
        split_name(name)
        expires_at = self._clock.now() + timedelta(seconds=seconds)
        token = self._signer.dumps([name, filename, content_type, expires_at.timestamp()])
        return Link(url=f"{self._public_url}/objects/{token}", expires_at=expires_at)

    def form(self, name: str, *, most_bytes: int, until: datetime) -> UploadForm:
        """Return a form that is good until then; its address says it all."""
        split_name(name)
        token = self._forms.dumps([name, most_bytes, until.timestamp()])
        url = f"{self._public_url}/objects/{token}"
        return UploadForm(url=url, fields={}, expires_at=until)

    def verify(self, token: str) -> tuple[str, str, str]:
        """Return (name, filename, content type), or raise `NotFound` for a bad or expired one."""
        name, filename, content_type = self._read(self._signer, token)
        return name, filename, content_type

    def verify_form(self, token: str) -> tuple[str, int]:
        """Return (name, most bytes), or raise `NotFound` for a bad or expired one."""
        name, most_bytes = self._read(self._forms, token)
        return name, most_bytes

    def _read(self, signer: URLSafeSerializer, token: str) -> list[Any]:
        said: list[Any]
        try:
            *said, expires_at = signer.loads(token)
        except BadData as error:
            raise NotFound("There is no such link.", code="bad_link") from error
        if self._clock.now().timestamp() >= expires_at:
            raise NotFound("This link has expired; ask for a new one.", code="link_expired")
        return said
