"""What the ways to hold a sandbox's processes have in common: counts, files with numbers, folders that empty."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CPU_PERIOD = 100_000
"""Microseconds in which a group may use its quota of processor time."""
_EMPTY_SECONDS = 10.0
_POLL_SECONDS = 0.002


@dataclass(frozen=True)
class Counts:
    """How often something was refused; only differences mean anything."""

    oom_kills: int
    pids_refused: int


def until_empty() -> Iterator[None]:
    """Go round until it takes too long."""
    end = time.monotonic() + _EMPTY_SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(_POLL_SECONDS)


def members(folder: Path) -> list[int]:
    """Return the processes in a group."""
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:  # removed, or being removed
        return []


def field(path: Path, key: str) -> int:
    """Return the number behind a word, 0 when the word is not there."""
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == key:
            return int(words[1])
    return 0


def remove(folder: Path) -> None:
    """Remove a group whose last process may still be on its way out."""
    for _ in until_empty():
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            continue
        return
