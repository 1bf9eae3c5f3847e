"""What calls of jest and vitest have in common: how they are written, and where the tests are that they find."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from codexsys_agent.runners.words import Plain

SCRIPTS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_NPX = (("npx",), ("npx", "--no-install"), ("pnpm",), ("pnpm", "exec"), ("yarn",), ("yarn", "run"))
_PASSED_OVER = {".git", "node_modules", "dist", "build", "coverage"}


def parted(called: Plain, code: Path, name: str, ending: str) -> tuple[list[str], list[str]] | None:
    """Return the words that start a runner, and its own; None for another program.

    `ending` is that of the runner's file, which may be given to node.
    """
    words = list(called.words)
    own = f"node_modules/.bin/{name}"
    program = [own] if (code / own).exists() else [name]
    for before in _NPX:
        if tuple(words[: len(before)]) == before and words[len(before) : len(before) + 1] == [name]:
            words = words[len(before) :]
            break
    files = (f"/{name}", f"/{name}{ending}")
    if called.program == "node":
        n = next((n for n, word in enumerate(words) if word.endswith(files)), 0)
        program, words = words[: n + 1], words[n:]
    elif words and "/" in words[0]:
        program = words[:1]
    if not words or f"/{words[0].rpartition('/')[2]}" not in files:
        return None
    return program, words[1:]


def paths_of(options: list[str], valued: Collection[str]) -> list[str]:
    """Return the paths, or parts of such, that a call names."""
    named: list[str] = []
    rest = iter(options)
    for word in rest:
        if word in valued:
            next(rest, None)
        elif not word.startswith("-"):
            named.append(word)
    return named


def plant(code: Path, name: str, named: list[str], text: str, *, by_folder: bool) -> str:
    """Write a test where the others are, and called as they are, so that it is found as they are found."""
    folder, ending = next(_tests(code, named, by_folder=by_folder), (code, ".test.js"))
    place = folder / f"{name}{ending}"
    head = "// @ts-nocheck\n" if ".ts" in ending else ""
    with place.open("x", encoding="ascii") as opened:
        opened.write(head + text)
    return place.relative_to(code).as_posix()


def _tests(code: Path, named: list[str], *, by_folder: bool) -> Iterator[tuple[Path, str]]:
    """Give the folders that hold tests, and how these are called after their first point."""
    for root in [code / each for each in named if (code / each).is_dir()] or [code]:
        for place, folders, files in os.walk(root):
            folders[:] = sorted(each for each in folders if each not in _PASSED_OVER)
            for file in sorted(files):
                ending = _ending(file, Path(place).name if by_folder else "")
                if ending:
                    yield Path(place), ending


def _ending(file: str, folder: str) -> str:
    if not file.endswith(SCRIPTS):
        return ""
    for infix in (".test.", ".spec."):
        if infix in file:
            return infix + file.rpartition(infix)[2]
    return Path(file).suffix if folder == "__tests__" else ""
