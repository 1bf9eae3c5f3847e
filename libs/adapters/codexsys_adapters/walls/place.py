"""Names of places: who names the same one reaches the same sandboxes."""

import hashlib
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def here(kind: str, where: str) -> str:
    """Name a folder or an engine of this host since it started: no sandbox outlives a start."""
    named = f"{where} {_BOOT_ID.read_text().strip()}"
    return f"{kind}-{hashlib.sha256(named.encode()).hexdigest()[:32]}"
