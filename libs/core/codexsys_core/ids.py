"""Ids: a prefix, an underscore and the 26 Crockford base32 characters of a UUIDv7."""

import os
import time
from datetime import UTC, datetime
from typing import Protocol

_LENGTH = 26
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Ids(Protocol):
    """Where new ids come from. Safe to call from any task; never gives the same id twice."""

    def new(self, prefix: str) -> str:
        """Return a fresh id such as `task_01j…`; later ids sort after earlier ones."""


class TimeOrderedIds:
    """Ids by wall clock and 74 random bits (RFC 9562, version 7)."""

    def new(self, prefix: str) -> str:
        """Return a fresh id."""
        milliseconds = time.time_ns() // 1_000_000
        noise = int.from_bytes(os.urandom(10), "big")
        high = (milliseconds << 16) | 0x7000 | (noise >> 68)
        low = (0b10 << 62) | (noise & ((1 << 62) - 1))
        return f"{prefix}_{_crockford((high << 64) | low)}"


_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(120, -1, -10)


def _crockford(number: int) -> str:
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])


def made_at(identifier: str) -> datetime | None:
    """Return when an id was made, None for what is no id."""
    text = identifier.rpartition("_")[2]
    if len(text) != _LENGTH or not set(text) <= set(_ALPHABET):
        return None
    number = 0
    for letter in text:
        number = number << 5 | _ALPHABET.index(letter)
    try:
        return datetime.fromtimestamp((number >> 80) / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # no time that there can be
        return None


def first_at(prefix: str, moment: datetime) -> str:
    """Return what sorts before every id that is made from this moment on, and after every earlier one."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return f"{prefix}_{_crockford(milliseconds << 80)}"


def host_name(identifier: str) -> str:
    """Return the id as Kubernetes and host names want it."""
    return identifier.replace("_", "-")
