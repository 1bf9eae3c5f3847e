"""What a zip may hold: names, kinds and amounts, each refusal with a sentence that names it."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_RATIO_FROM = 64 << 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# They turn or hide what stands beside them: a name that is read as another.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DRIVE = re.compile(r"[A-Za-z]:")
# With an ending they are files since Windows 11, and everywhere else: Linux itself has an `aux.c`.
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?::.*)?",
    re.IGNORECASE,
)
_GIT = re.compile(r"(?:\.git|git~[0-9]+)[ .]*(?::.*)?", re.IGNORECASE)
# HFS+ ignores these in names, so `.g\u200cit` would be `.git` there.
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_FOLLOWED = 40
"""Links in a row, as many as Linux follows."""
_STEPS = 2_000_000
_DEEP = 64


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
    if _TURNING.search(name):
        raise ZipRefused(f"The name {name!r} holds a character that turns the text around it.")
    if "\\" in name:
        raise ZipRefused(f"The name {name!r} holds a backslash; make the zip with / in paths.")
    path = name.removeprefix("./").removesuffix("/")
    if name.startswith("/") or _DRIVE.match(path):
        raise ZipRefused(f"{name!r} is an absolute path.")
    parts = path.split("/")
    if path in ("", ".") and name.endswith("/"):
        return ""
    for part in parts:
        _check_part(name, part)
    if len(parts) > _DEEP or len(path.encode()) > 1024:
        raise ZipRefused(f"The path {name[:80]!r}… is too long or too deep.")
    return path


def _check_part(name: str, part: str) -> None:
    if part == "..":
        raise ZipRefused(f"{name!r} leads out of the zip's own folder.")
    plain = _IGNORABLE.sub("", part)
    if not plain.strip(" ."):
        raise ZipRefused(f"{name!r} is not a plain path.")
    if len(part.encode()) > 255:
        raise ZipRefused(f"The name {name[:80]!r}… is longer than 255 bytes.")
    if _GIT.fullmatch(plain):
        raise ZipRefused(f"The zip holds {name!r}; make it without the .git folder.")
    if _DEVICE.fullmatch(plain):
        raise ZipRefused(
            f"The zip holds {name!r}, which is a device on Windows; rename it, or give a Git URL."
        )


def check_collisions(paths: Iterable[str], folders: Iterable[str]) -> None:
    """Refuse two files of one name (also by case, Unicode form or final dots), or a file that is a folder."""
    files: dict[str, str] = {}
    for path in paths:
        other = files.setdefault(_key(path), path)
        if other is not path:
            raise ZipRefused(f"The zip holds {path!r} twice (also as {other!r}).")
    below = [(path, key) for key, path in files.items()]
    below += [(f"{folder}/", f"{_key(folder)}/") for folder in folders]
    for path, key in below:
        parent = key
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if (file := files.get(parent)) is not None:
                raise ZipRefused(f"{file!r} is a file and the folder of {path!r}.")


def _key(path: str) -> str:
    """Return what is the same for two paths that some system takes for one."""
    return "/".join(_folded(part) for part in path.split("/"))


def _folded(part: str) -> str:
    if part.isascii():
        return part.lower().rstrip(" .")
    plain = unicodedata.normalize("NFC", _IGNORABLE.sub("", part)).casefold()
    return unicodedata.normalize("NFC", plain).rstrip(" .")


def check_links(links: dict[str, str]) -> None:
    """Refuse symbolic links that lead, over whatever other links, out of the tree."""
    left = _STEPS
    for path, target in links.items():
        if not target or target.startswith("/") or _DRIVE.match(target) or "\\" in target:
            raise ZipRefused(f"The link {path!r} does not point to a plain relative path.")
        if _CONTROL.search(target) or _TURNING.search(target):
            raise ZipRefused(f"The link {path!r} does not point to a plain relative path.")
        if any(_GIT.fullmatch(_IGNORABLE.sub("", part)) for part in target.split("/")):
            raise ZipRefused(f"The link {path!r} points to a .git folder.")
        left = _follow(path, links, left)


def _follow(path: str, links: dict[str, str], steps: int) -> int:
    """Go where a link leads and return how many steps are left for others."""
    outside = ZipRefused(f"The link {path!r} leads out of the zip's own folder, or in a circle.")
    ahead, followed = path.split("/")[::-1], 0
    at: list[str] = []
    while ahead:
        steps -= 1
        part = ahead.pop()
        if part == "..":
            if not at:
                raise outside
            at.pop()
        elif part not in ("", "."):
            at.append(part)
            target = links.get("/".join(at))
            if target is not None:
                at.pop()
                followed += 1
                ahead += target.split("/")[::-1]
        if steps < 0 or followed > _FOLLOWED or len(at) > _DEEP:
            raise outside
    return steps


def without_wrapping(paths: Iterable[str]) -> str:
    """Return the one folder (with its slash) that holds everything, as archives of forges have."""
    tops = set()
    for path in paths:
        top, slash, _ = path.partition("/")
        if not slash:
            return ""
        tops.add(top)
    return f"{tops.pop()}/" if len(tops) == 1 else ""
