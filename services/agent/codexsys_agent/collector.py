"""Brings out of a workspace what the platform wants of it, as one tar on stdout.

Run in a cage of its own, over files that hostile code could write: links are not followed, the
workspace's own git directory is not used, and nothing of the workspace is executed.
"""

import argparse
import io
import json
import os
import stat
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from codexsys_agent.private_git import GitFailed, PrivateGit
from codexsys_agent.worktree import Taken, Worktree

_LARGEST_OUTPUT = 16 << 20
_MOST_OUTPUTS = 64
_MAX_BYTES = 256 << 20
_LARGEST_FILE = 32 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """What to collect."""

    base_ref: str
    tree: bool
    """Whether the change of the workspace is wanted; it takes long where there are many files."""
    outputs: bool
    skip: frozenset[tuple[str, str | None, str | None]]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Output:
    """One file that the agent left."""

    name: str
    content: bytes


class TooMuch(ValueError):
    """The change is larger than what is taken."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 and one line on stderr when anything fails, 3 when the change is too large."""
    options = _options(arguments)
    try:
        order = _read_order(options.input / "collect.json")
        with tempfile.TemporaryDirectory(prefix="collect-") as scratch:
            taken = _take(options, order, Path(scratch))
            left = _room(order, taken)
            outputs, left_out = _outputs(options.output, left) if order.outputs else ([], [])
            _send(sys.stdout.buffer, taken, outputs, left_out)
    except (GitFailed, OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"collector: {' '.join(str(error).split())}\n")
        return 3 if isinstance(error, TooMuch) else 1
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="codexsys_agent.collector")
    for name, place in (("code", "code"), ("output", "output"), ("input", "input")):
        parser.add_argument(f"--{name}", type=Path, default=Path("/app") / place)
    parser.add_argument("--base", type=Path, default=Path("/app/base.git"))
    return parser.parse_args(arguments)


def _read_order(file: Path) -> Order:
    raw: dict[str, Any] = json.loads(file.read_bytes())
    return Order(
        base_ref=raw.get("base_ref") or "refs/heads/base",
        tree=bool(raw.get("tree", True)),
        outputs=bool(raw.get("outputs", True)),
        skip=frozenset(
            (item["path"], item["mode"], item["blob"]) for item in raw.get("skip") or []
        ),
        max_bytes=int(raw.get("max_bytes") or _MAX_BYTES),
    )


def _take(options: argparse.Namespace, order: Order, scratch: Path) -> Taken:
    if not order.tree:
        return Taken("", b"", [], {})
    git = PrivateGit(base=options.base, scratch=scratch, base_ref=order.base_ref)
    largest = min(_LARGEST_FILE, order.max_bytes)
    return Worktree(code=options.code, git=git, largest=largest).take(order.skip)


def _room(order: Order, taken: Taken) -> int:
    left = order.max_bytes - len(taken.patch)
    if left < 0:
        raise TooMuch(f"the patch has {len(taken.patch)} bytes, {-left} too many")
    return left


def _outputs(folder: Path, left: int) -> tuple[list[Output], list[str]]:
    """Regular files directly in the folder, in the order of their names, while there is room."""
    if not folder.is_dir() or folder.is_symlink():
        return [], []
    taken: list[Output] = []
    left_out: list[str] = []
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.is_file(follow_symlinks=False))
    except OSError:  # it is the sandbox's own, which may have closed it
        return [], ["."]
    for name in names:
        room = min(left, _LARGEST_OUTPUT)
        content = _read(folder / name, room) if len(taken) < _MOST_OUTPUTS else None
        if content is None:
            left_out.append(os.fsencode(name).decode("utf-8", "backslashreplace"))
        else:
            left -= len(content)
            taken.append(Output(name, content))
    return taken, left_out


def _read(file: Path, room: int) -> bytes | None:
    if not file.name.isprintable():
        return None
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > room:
            return None
        content = opened.read(room + 1)
    return content if len(content) <= room else None


def _send(pipe: IO[bytes], taken: Taken, outputs: list[Output], left_out: list[str]) -> None:
    flags: dict[str, list[str]] = dict(taken.flags)
    if left_out:
        flags["left_out"] = left_out
    meta = {
        "tree": taken.tree,
        "changed": [change.as_json() for change in taken.changed],
        "flags": {kind: [_shown(path) for path in paths] for kind, paths in flags.items()},
    }
    with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _member(tar, "meta.json", json.dumps(meta).encode())
        _member(tar, "patch", taken.patch)
        for output in outputs:
            _member(tar, f"output/{output.name}", output.content)
    pipe.flush()


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    about.mode = 0o644
    tar.addfile(about, io.BytesIO(content))


if __name__ == "__main__":
    sys.exit(main())
