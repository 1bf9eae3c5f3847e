"""A base as one file: a tar.gz of the bare directory, the same bytes for the same directory."""

import gzip
import re
import shutil
import tarfile
from pathlib import Path

from codexsys_core.base_directory import write_rules
from codexsys_core.errors import PlatformError

_NAMES = re.compile(
    r"HEAD|config|shallow|packed-refs|info/attributes|refs/heads/base"
    r"|objects/info/(?:packs|commit-graph)"
    r"|objects/[0-9a-f]{2}/[0-9a-f]{38}|objects/pack/pack-[0-9a-f]{40}\.(?:pack|idx|rev)"
)


def pack(base: Path, into: Path) -> None:
    """Write what belongs to a base, and nothing else, to `into`."""
    with (
        into.open("wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(base.rglob("*")):
            name = path.relative_to(base).as_posix()
            if path.is_file() and not path.is_symlink() and _NAMES.fullmatch(name):
                _add(archive, path, name)


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    entry.mode = 0o644
    with path.open("rb") as content:
        archive.addfile(entry, content)


def unpack(archive: Path, into: Path, *, most: int) -> None:
    """Make `into` from `archive`; a name that no base has, or too many bytes, refuses it whole."""
    into.mkdir(mode=0o755)
    try:
        _take_all(archive, into, most)
        for folder in ("objects/info", "objects/pack", "refs/heads"):
            (into / folder).mkdir(parents=True, exist_ok=True)
        write_rules(into)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        shutil.rmtree(into, ignore_errors=True)
        raise _damaged("it is not a whole tar.gz") from error
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise


def _take_all(archive: Path, into: Path, most: int) -> None:
    with tarfile.open(archive, "r:gz") as packed:
        for entry in packed:
            most -= entry.size
            if most < 0:
                raise _damaged("it is larger than a base may be")
            _take(packed, entry, into)


def _take(packed: tarfile.TarFile, entry: tarfile.TarInfo, into: Path) -> None:
    content = packed.extractfile(entry) if entry.isreg() else None
    if content is None or not _NAMES.fullmatch(entry.name):
        raise _damaged(f"it holds {entry.name!r}")
    place = into / entry.name
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as out:
        shutil.copyfileobj(content, out)


def _damaged(why: str) -> PlatformError:
    return PlatformError(f"The stored base cannot be used: {why}.")
