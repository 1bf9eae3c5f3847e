"""One plain command as words: no chain, pipe, substitution or pattern that a shell would act on."""

import re
import shlex
from dataclasses import dataclass

_META = re.compile(r"[;&|<>`$(){}\n\r#!*?\[\]~\\]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@dataclass(frozen=True, slots=True)
class Plain:
    """Variables that stand before a command, and its words."""

    assigned: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """Return the program's own name, empty where there is none."""
        return self.words[0].rpartition("/")[2] if self.words else ""

    def with_words(self, words: list[str]) -> str:
        """Return the command again, with other words."""
        pairs = [each.partition("=") for each in self.assigned]
        before = [f"{name}={shlex.quote(value)}" for name, _, value in pairs]
        return " ".join([*before, *(shlex.quote(word) for word in words)])


def plain(command: str) -> Plain | None:
    """Return a command's words, None when it is more than one plain command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if _META.search(_unquoted(command)):
        return None
    count = next((n for n, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    return Plain(tuple(words[:count]), tuple(words[count:]))


def _unquoted(command: str) -> str:
    """The command without what quotes keep from the shell."""
    without = re.sub(r"'[^']*'", "", command)
    return re.sub(r'"([^"$`\\]*)"', "", without)
