"""What linters say, by the form in which they say it: (path, first line, last line, message)."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

Told = Iterator[tuple[str, int, int, str]]
Read = Callable[[str], Told]
"""Raises `ValueError`, `KeyError`, `TypeError` or `AttributeError` for what it cannot read."""
_FLAKE8 = re.compile(r"^(.+?):(\d+):\d+: (\S.*)$", re.MULTILINE)
_VET = re.compile(r"^(?:vet: )?(\S.*?\.go):(\d+):(?:\d+:)? (.*)$", re.MULTILINE)


def ruff(text: str) -> Told:
    """Read `ruff check --output-format json`."""
    for each in _list(text):
        first, last = each["location"]["row"], each["end_location"]["row"]
        yield (
            str(each["filename"]),
            int(first),
            int(last),
            f"{each['code'] or 'error'} {each['message']}",
        )


def eslint(text: str) -> Told:
    """Read `eslint --format json`."""
    for file in _list(text):
        for each in file["messages"]:
            if not each.get("line") and not each.get("fatal"):
                continue  # of a file that the settings leave out
            first = int(each.get("line") or 1)
            rule = each.get("ruleId") or "error"
            yield str(file["filePath"]), first, int(each.get("endLine") or first), f"{rule} {each['message']}"  # fmt: skip


def shellcheck(text: str) -> Told:
    """Read `shellcheck --format json`."""
    for each in _list(text):
        said = f"SC{int(each['code'])} {each['message']}"
        yield str(each["file"]), int(each["line"]), int(each["endLine"]), said


def flake8(text: str) -> Told:
    """Read lines of flake8's own form."""
    yield from _lines(_FLAKE8, text)


def vet(text: str) -> Told:
    """Read what `go vet` says on stderr."""
    yield from _lines(_VET, text)


def _list(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(found, list):
        raise TypeError("a list is expected")
    return found


def _lines(form: re.Pattern[str], text: str) -> Told:
    for path, line, said in form.findall(text):
        yield path, int(line), int(line), said
