"""The user on the host that a sandbox's processes are."""

import hashlib
import os
from pathlib import Path


def owner(sandbox_id: str) -> tuple[int, int]:
    """Return a user of its own for each sandbox; ourselves, where we are not root.

    The number is even, so that the next one is nobody else's either.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    low, high = _user_range(Path("/proc/self/uid_map").read_text())
    digest = hashlib.sha256(sandbox_id.encode()).digest()
    number = low + int.from_bytes(digest[:8], "big") % ((high - low) // 2) * 2
    return number, number


def _user_range(uid_map: str) -> tuple[int, int]:
    """Return the users we may give away: less where we are ourselves in a user namespace."""
    most = max(int(start) + int(count) for start, _, count in map(str.split, uid_map.splitlines()))
    return (100_000, 1_000_000_000) if most > 1_000_000_000 else (10_000, most)
