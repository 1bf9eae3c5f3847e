"""Webhooks: how one is signed, and the port that sends it."""

import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple, Protocol

_PREFIX = "whsec_"


class Answer(NamedTuple):
    """What came of one try."""

    status: int
    """0 when nobody answered."""
    problem: str = ""
    """Why nobody did."""

    @property
    def taken(self) -> bool:
        """Say whether it arrived."""
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Say whether the receiver wants no more."""
        return self.status == 410


class Webhooks(Protocol):
    """Sends what is signed already. One try a call; never raises for what a receiver does."""

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send it once."""

    async def check(self, url: str) -> None:
        """Raise `Invalid` (url_refused, address_denied) for a URL that nothing will be sent to."""


def headers_of(secret: str, *, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks; without a secret they hold no signature.

    A secret that begins with `whsec_` is base64 of the key, as that standard has it; any other text
    is the key itself.
    """
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
    }
    if secret:
        signed = f"{message_id}.{at}.".encode() + body
        mac = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
    return headers


def key_of(secret: str) -> bytes:
    """Return the key; raises `ValueError` for a `whsec_` that is no base64."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("what follows whsec_ is not base64") from error
