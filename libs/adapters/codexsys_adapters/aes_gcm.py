"""Sealed values by AES-256-GCM, under a key made of the platform's own."""

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from codexsys_core.secret import SecretUnreadable

_FORM = "sealed-1"
_NONCE_BYTES = 12


class AesGcmSecrets:
    """A `SecretBox`. A sealed value is `sealed-1.<key id>.<nonce and text>`."""

    def __init__(self, secret_key: bytes) -> None:
        self._cipher = AESGCM(_derived(secret_key, "sealing"))
        self._digest_key = _derived(secret_key, "digests")
        self._key_id = _derived(secret_key, "key id")[:4].hex()

    def seal(self, text: str, *, row: str) -> str:
        """Encrypt; the row's name is authenticated with it."""
        nonce = os.urandom(_NONCE_BYTES)
        kept = nonce + self._cipher.encrypt(nonce, text.encode(), self._bound(row))
        return f"{_FORM}.{self._key_id}.{base64.urlsafe_b64encode(kept).decode()}"

    def open(self, sealed: str, *, row: str) -> str:
        """Decrypt what was sealed for this row with this key."""
        form, _, rest = sealed.partition(".")
        key_id, _, text = rest.partition(".")
        if form != _FORM or key_id != self._key_id:
            raise SecretUnreadable(
                "A secret was sealed with another CODEXSYS_SECRET_KEY; set that key again, or the secret."
            )
        try:
            kept = base64.b64decode(text, altchars=b"-_", validate=True)
            nonce, text_bytes = kept[:_NONCE_BYTES], kept[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, text_bytes, self._bound(row)).decode()
        except (InvalidTag, ValueError):
            raise SecretUnreadable("A stored secret was changed or moved; set it again.") from None

    def digest(self, text: str) -> str:
        """Hash with a key of its own."""
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).hexdigest()

    def _bound(self, row: str) -> bytes:
        return f"{_FORM} {self._key_id} {row}".encode()


def _derived(secret_key: bytes, purpose: str) -> bytes:
    info = f"codexsys {purpose} 1".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret_key)
