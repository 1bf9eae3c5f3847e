"""The key that signs what the platform hands out."""

import os
import secrets

from codexsys_adapters.disks.alone import alone
from codexsys_wiring.settings import Settings


def secret_key(settings: Settings) -> bytes:
    """Return the signing key, made on first start and kept for this user alone."""
    given = settings.secret_key.get_secret_value()
    if given:
        return given.encode()
    path = settings.data_dir / "secret_key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(path.parent):  # services that start together have one
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(32))
            draft.rename(path)
    return path.read_bytes()
