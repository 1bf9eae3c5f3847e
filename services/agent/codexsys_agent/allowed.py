"""Which programs an environment lets the agent's commands run: a rule for it, while the sandbox is the wall."""

import re
import shlex
from fnmatch import fnmatchcase

from codexsys_agent.files import ToolError

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_HIDDEN = re.compile(r"\$\(|`|[<>]\(|\$\{?[A-Za-z_]+\}?(?=\s|$)")
_ENDS = frozenset({";", "&&", "||", "|", "|&", "&", "(", ")", "\n", ";;"})
_WORDS = frozenset(
    "if then elif else fi for in do done while until case esac { } ! time [[ ]]".split()  # noqa: SIM905
)


def must_be_allowed(command: str, allowed: tuple[str, ...] | None) -> None:
    """Raise `ToolError` unless every program that a command names is one of these; None allows all."""
    if allowed is None:
        return
    for program in _programs(command):
        if not any(fnmatchcase(program, pattern) for pattern in allowed):
            raise ToolError(
                f"{program!r} is not allowed here; allowed are {', '.join(allowed) or 'no commands'}"
            )


def _programs(command: str) -> list[str]:
    """Return the first word of each simple command; a command that hides one is refused."""
    if _HIDDEN.search(re.sub(r"'[^']*'", "", command)):
        raise ToolError(
            "where only some commands are allowed, name them plainly: no $(…), `…` or $name"
        )
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";|&()\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise ToolError(f"the command cannot be read: {error}") from error
    found, first = [], True
    for word in words:
        if word in _ENDS or set(word) <= set(";|&()\n"):
            first = True
        elif first and not _ASSIGNMENT.match(word) and word not in _WORDS:
            found.append(word.rpartition("/")[2])
            first = False
    return found
