"""Words for numbers, times and names, the same on every page."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
NOTHING = "\N{EN DASH}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def visible(text: str) -> str:
    """Show control and direction characters as what they are, so that no text lies about itself."""
    return _UNSAFE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text.replace("\r\n", "\n"))


def size(count: int) -> str:
    """Say a size in binary units."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count:,} {_UNITS[0]}" if unit == 0 else f"{value:,.1f} {_UNITS[unit]}"


def money(amount: float) -> str:
    """Say dollars; what is less than a cent keeps four digits."""
    return f"${amount:,.4f}" if 0 < amount < 0.01 else f"${amount:,.2f}"


def short(count: float) -> str:
    """Say a large number in three digits or so."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:,.1f}".removesuffix(".0") + f" {unit}"
    return f"{count:g}"


def day(date: date) -> str:
    """Say a day."""
    return f"{date:%a %-d %b %Y}"


def duration(seconds: float) -> str:
    """Say a length of time in its two largest units."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, _HOUR)
    return f"{hours} h {rest // _MINUTE:02d} min" if rest >= _MINUTE else f"{hours} h"


def moment(stamp: str | None) -> datetime | None:
    """Read an RFC 3339 time; None where there is none."""
    if not stamp:
        return None
    found = datetime.fromisoformat(stamp)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def when(stamp: str | None) -> str:
    """Say a time in full, in UTC."""
    found = moment(stamp)
    return f"{found.astimezone(UTC):%-d %b %Y, %H:%M} UTC" if found else NOTHING


def soon(stamp: str | None) -> str:
    """Say a time that is near, in UTC, without its year."""
    found = moment(stamp)
    return f"{found.astimezone(UTC):%-d %b, %H:%M}" if found else NOTHING


def age(stamp: str | None, now: datetime) -> str:
    """Say how long ago a time was, in its largest unit."""
    found = moment(stamp)
    if not found:
        return NOTHING
    seconds = max(0, int((now - found).total_seconds()))
    for length, word in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= length:
            return f"{seconds // length} {word}"
    return f"{seconds} s"


def plural(count: int, one: str, many: str = "") -> str:
    """Say a number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def title(prompt: str, fallback: str) -> str:
    """Make a heading of the first line of a prompt that says something."""
    lines = (line.strip(" #*-\t\r") for line in prompt.splitlines())
    first = next((line for line in lines if line), fallback)
    return first if len(first) <= 110 else first[:109].rstrip() + "…"


def repository(url: str) -> str:
    """Shorten a Git URL to its last two names; never shows user or password."""
    path = urlsplit(url).path if "://" in url else url.rpartition(":")[2]
    names = [name for name in path.removesuffix("/").removesuffix(".git").split("/") if name]
    return "/".join(names[-2:]) or "repository"


def without_password(url: str) -> str:
    """Give a Git URL without user and password."""
    if "://" not in url:
        return url
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
