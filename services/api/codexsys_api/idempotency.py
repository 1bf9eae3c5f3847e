"""A client's promise that two requests are one: reading the header, and telling requests apart."""

import json
from typing import Any

from pydantic import BaseModel, SecretStr

from codexsys_core.errors import Invalid
from codexsys_core.secret import SecretBox
from codexsys_core.task import Idempotency

_KEY_MOST = 255


def promised(
    key: str | None, body: BaseModel, secrets: SecretBox, *, file_sha256: str = ""
) -> Idempotency | None:
    """Return the promise of a request with this key; None without one."""
    if key is None:
        return None
    if not 1 <= len(key) <= _KEY_MOST or not (key.isascii() and key.isprintable()):
        raise Invalid(
            "An Idempotency-Key has 1 to 255 printable ASCII characters.", code="idempotency_key"
        )
    # Keyed, for a body may hold secrets that a plain hash would let somebody guess.
    canonical = json.dumps(
        [type(body).__name__, body.model_dump(), file_sha256],
        sort_keys=True,
        separators=(",", ":"),
        default=_plain,
    )
    return Idempotency(key=key, fingerprint=secrets.digest(canonical))


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value)
