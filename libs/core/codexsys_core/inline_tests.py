"""Tests that stand in the same file as the code that they test: put back as they were, with the code as it is now."""

import re

_MARKED = re.compile(r"^([ \t]*)#\[cfg\((?:all\()?test\b")
_MODULE = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?mod[ \t]+(\w+)[ \t]*\{")
_TEST = re.compile(r"^[ \t]*#\[(?:\w+::)*test\b", re.MULTILINE)


def may_hold_tests(path: str) -> bool:
    """Say whether a file of code may have tests of its own among it."""
    return path.endswith(".rs")


def with_tests_of(old: str, new: str) -> str | None:
    """Return the new text with the modules of tests of the old one; None where they cannot be told apart."""
    if old == new:
        return new
    lines = new.splitlines(keepends=True)
    before, now = _modules(old.splitlines(keepends=True)), _modules(lines)
    if before is None or now is None:
        return None
    outside = "".join(_outside(old.splitlines(keepends=True), before))
    if _TEST.search(outside) or not before.keys() <= now.keys():
        return None
    kept = old.splitlines(keepends=True)
    for name in sorted(before, key=lambda each: now[each], reverse=True):
        (first, last), (start, end) = before[name], now[name]
        lines[start:end] = kept[first:last]
    return "".join(lines)


def _outside(lines: list[str], modules: dict[str, tuple[int, int]]) -> list[str]:
    inside = {n for first, last in modules.values() for n in range(first, last)}
    return [line for n, line in enumerate(lines) if n not in inside]


def _modules(lines: list[str]) -> dict[str, tuple[int, int]] | None:
    """Return where each module of tests begins and ends; None when one has no end, or two have one name."""
    found: dict[str, tuple[int, int]] = {}
    n = 0
    while n < len(lines):
        marked = _MARKED.match(lines[n])
        opened = _opening(lines, n) if marked else None
        if marked is None or opened is None:
            n += 1
            continue
        name, body = opened
        end = _end(lines, body, marked[1])
        if end is None or name in found:
            return None
        found[name] = (n, end)
        n = end
    return found


def _opening(lines: list[str], marked: int) -> tuple[str, int] | None:
    """Return the name of the module that follows a mark, and the line on which it opens."""
    for n in range(marked, min(marked + 5, len(lines))):
        if opened := _MODULE.match(lines[n]):
            return opened[1], n
        if not lines[n].lstrip().startswith(("#[", "//")):
            return None
    return None


def _end(lines: list[str], opened: int, indent: str) -> int | None:
    if lines[opened].rstrip().endswith("}"):
        return opened + 1
    for n in range(opened + 1, len(lines)):
        if lines[n].rstrip() == f"{indent}}}":
            return n + 1
    return None
