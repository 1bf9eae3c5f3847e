"""Addresses made of titles."""

import re


def slugify(text: str) -> str:
    """Return the part of an address that a title becomes."""
    return re.sub(r"[^a-z0-9]", "-", text.lower())
