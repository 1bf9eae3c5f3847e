"""A client's promise that two requests are one: reading the header, and telling requests apart."""

import json
from base64 import urlsafe_b64encode
from typing import Any

from pydantic import BaseModel, SecretStr

from codexsys_core.errors import Invalid
from codexsys_core.idempotency import Idempotency
from codexsys_core.principal import new_secret
from codexsys_core.secret import SecretBox

_KEY_MOST = 255


def promised(
    key: str | None,
    body: BaseModel,
    secrets: SecretBox,
    *,
    file_sha256: str = "",
    about: tuple[str, ...] = (),
) -> Idempotency | None:
    """Return the promise of a request with this key; None without one.

    `about`: what else makes two requests the same: the ids in the address, and whose key asks where
    the answer has a secret.
    """
    if key is None:
        return None
    if not 1 <= len(key) <= _KEY_MOST or not (key.isascii() and key.isprintable()):
        raise Invalid(
            "An Idempotency-Key has 1 to 255 printable ASCII characters.", code="idempotency_key"
        )
    # Keyed, for a body may hold secrets that a plain hash would let somebody guess.
    canonical = json.dumps(
        [type(body).__name__, body.model_dump(), file_sha256, *about],
        sort_keys=True,
        separators=(",", ":"),
        default=_plain,
    )
    return Idempotency(key=key, fingerprint=secrets.digest(canonical))


def secret_of(made: str, promise: Idempotency | None, secrets: SecretBox) -> str:
    """Return the secret of what is made: random, or one that the same request can be told again.

    Then it is a keyed hash of what only this request and the new id give together. So nothing is stored
    for a replay, and once the promise is forgotten nobody can ask for it. (With another key of the
    platform the fingerprint is another one, too, and the request is refused.)
    """
    if promise is None:
        return new_secret()
    keyed = secrets.digest(f"secret of {made}, {promise.fingerprint}, {promise.key}")
    return urlsafe_b64encode(bytes.fromhex(keyed)).rstrip(b"=").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value)
