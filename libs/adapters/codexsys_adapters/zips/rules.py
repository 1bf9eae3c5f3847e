"""What a zip may hold: names, kinds and amounts, each refusal with a sentence that names it."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_RATIO_FROM = 64 << 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_GIT = re.compile(r"(?:\.git|git~[0-9]+)[ .]*(?::.*)?", re.IGNORECASE)
# HFS+ ignores these in names, so `.g\u200cit` would be `.git` there.
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


class ZipRefused(Exception):
    """The zip is damaged or unsafe; the text is for the user."""


@dataclass(frozen=True)
class ZipLimits:
    """How much a zip may hold and its reading may take."""

    entries: int = 50_000
    total_bytes: int = 1 << 30
    ratio: int = 100
    """Refused when more than 64 MiB come out at more than this times the packed size."""
    seconds: int = 300
    memory_bytes: int = 2 << 30


def check_amount(limits: ZipLimits, total: int, packed: int) -> None:
    """Refuse more bytes than allowed, or a bomb's ratio."""
    if total > limits.total_bytes:
        raise ZipRefused(f"The zip unpacks to more than {limits.total_bytes} bytes.")
    if total > _RATIO_FROM and total > limits.ratio * packed:
        raise ZipRefused(f"The zip unpacks to more than {limits.ratio} times its size.")


def clean_name(name: str) -> str:
    """Return the path inside the tree; refuses whatever is not plainly inside it."""
    if _CONTROL.search(name):
        raise ZipRefused(f"The name {name!r} holds a control character.")
    if "\\" in name:
        raise ZipRefused(f"The name {name!r} holds a backslash; make the zip with / in paths.")
    if name.startswith("/") or _DRIVE.match(name):
        raise ZipRefused(f"{name!r} is an absolute path.")
    path = name.removeprefix("./").removesuffix("/")
    parts = path.split("/")
    if path in ("", ".") and name.endswith("/"):
        return ""
    for part in parts:
        _check_part(name, part)
    if len(parts) > 64 or len(path.encode()) > 1024:
        raise ZipRefused(f"The path {name[:80]!r}… is too long or too deep.")
    return path


def _check_part(name: str, part: str) -> None:
    if part == "..":
        raise ZipRefused(f"{name!r} leads out of the zip's own folder.")
    if part in ("", "."):
        raise ZipRefused(f"{name!r} is not a plain path.")
    if len(part.encode()) > 255:
        raise ZipRefused(f"The name {name[:80]!r}… is longer than 255 bytes.")
    if _GIT.fullmatch(_IGNORABLE.sub("", part)):
        raise ZipRefused(f"The zip holds {name!r}; make it without the .git folder.")


def check_collisions(paths: Iterable[str]) -> None:
    """Refuse two entries of one name (also by case or Unicode form), or a file that is a folder."""
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(_key(path), path)
        if other is not path:
            raise ZipRefused(f"The zip holds {path!r} twice (also as {other!r}).")
    for path in seen.values():
        parent = path
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if (file := seen.get(_key(parent))) is not None:
                raise ZipRefused(f"{file!r} is a file and the folder of {path!r}.")


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def check_links(links: dict[str, str]) -> None:
    """Refuse symbolic links that lead, over whatever other links, out of the tree."""
    for path, target in links.items():
        if not target or target.startswith("/") or _CONTROL.search(target) or "\\" in target:
            raise ZipRefused(f"The link {path!r} does not point to a plain relative path.")
        if not _stays_inside(path, links):
            raise ZipRefused(f"The link {path!r} leads out of the zip's own folder.")
        if any(_GIT.fullmatch(_IGNORABLE.sub("", part)) for part in target.split("/")):
            raise ZipRefused(f"The link {path!r} points to a .git folder.")


def _stays_inside(path: str, links: dict[str, str]) -> bool:
    left = path.split("/")
    at: list[str] = []
    steps = 0
    while left:
        steps += 1
        if steps > 4096:  # a loop: the system refuses to follow it, too
            return False
        part, left = left[0], left[1:]
        if part == "..":
            if not at:
                return False
            at.pop()
        elif part not in ("", "."):
            at.append(part)
            target = links.get("/".join(at))
            if target is not None:
                at.pop()
                left = target.split("/") + left
    return True


def without_wrapping(paths: Iterable[str]) -> str:
    """Return the one folder (with its slash) that holds everything, as archives of forges have."""
    tops = set()
    for path in paths:
        top, slash, _ = path.partition("/")
        if not slash:
            return ""
        tops.add(top)
    return f"{tops.pop()}/" if len(tops) == 1 else ""
