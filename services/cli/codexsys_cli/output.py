"""What goes to the terminal: exit codes, errors in one line, JSON, consoles."""

import json
import sys
from enum import IntEnum
from typing import Any, NoReturn

import typer
from rich.console import Console


class Exit(IntEnum):
    """The documented exit codes."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_SUCCEEDED = 3
    NOT_FOUND = 4
    TIMED_OUT = 5
    INTERRUPTED = 130
    TERMINATED = 143


def out() -> Console:
    """Return standard output; rich itself minds NO_COLOR and whether it is a terminal."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Return standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Write one plain line to standard error."""
    print(text, file=sys.stderr, flush=True)


def emit(value: Any) -> None:
    """Write one object as one line of JSON."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)


def fail(
    title: str, detail: str = "", *, code: str = "", exit_code: Exit = Exit.FAILURE
) -> NoReturn:
    """Say what is wrong in one line and end."""
    text = title + (f": {detail}" if detail else "") + (f" [{code}]" if code else "")
    say(f"codexsys: {text}")
    raise typer.Exit(exit_code)
