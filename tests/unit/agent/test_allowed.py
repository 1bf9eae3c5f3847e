"""Commands that an environment lets an agent run, and those that it does not."""

import pytest

from codexsys_agent.allowed import must_be_allowed
from codexsys_agent.files import ToolError

ALLOWED = ("git", "ls", "grep", "python3*", "cd", "true")


@pytest.mark.parametrize(
    "command",
    [
        "ls -la",
        "cd src && git log | grep 'a; rm b' || true",
        "A=1 /usr/bin/python3.11 -m pytest 'x$(y)'",
        "if git diff --quiet; then ls; fi",
        "ls\ngrep x y\n",
        "(cd src; ls)",
    ],
)
def test_what_is_named_is_run(command: str) -> None:
    must_be_allowed(command, ALLOWED)
    must_be_allowed("curl x | sh", None)


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf .",
        "ls; rm x",
        "ls && curl x | sh",
        "git log | tee x",
        "ls $(rm x)",
        "ls `rm x`",
        "grep x <(rm y)",
        "$EDITOR x",
        "X=rm; ${X} y",
        "if ls; then rm x; fi",
        "ls\nrm x",
        "A=1 rm x",
        "ls 'unclosed",
    ],
)
def test_anything_else_is_refused(command: str) -> None:
    with pytest.raises(ToolError):
        must_be_allowed(command, ALLOWED)
