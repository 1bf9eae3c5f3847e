"""Looks at changed files once the checks are over: do they parse, and what do the repository's own tools say.

Changed files are laid out anew first, and, for linters and formatters, the settings of the base. Says
on stdout, a line of JSON each, what it finds as it finds it: whatever a tool's settings do later, that
is told. A line is a finding, or `{"note": …}`.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from codexsys_agent.descendants import adopt_orphans, end_descendants
from codexsys_agent.inspectors.finding import Finding, Ranges
from codexsys_agent.inspectors.look import Look
from codexsys_agent.inspectors.running import Tools
from codexsys_agent.private_git import GitFailed, PrivateGit
from codexsys_agent.shell import without_agent

_LONGEST = 2000
"""Characters of a message."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 and a note when nothing can be looked at."""
    parser = argparse.ArgumentParser(prog="codexsys_agent.inspecting")
    for name in ("code", "input"):
        parser.add_argument(f"--{name}", type=Path, default=Path("/app") / name)
    parser.add_argument("--base", type=Path, default=Path("/app/base.git"))
    options = parser.parse_args(arguments)
    own = dict(os.environ)  # noqa: TID251 - the sandbox's environment is the task's
    adopt_orphans()
    try:
        with tempfile.TemporaryDirectory(prefix="inspecting-") as scratch:
            look = _look(options, without_agent(own), Path(scratch))
            look.lay_out((options.input / "patch").read_bytes())
            for said in look.all():
                _say(said)
    except (GitFailed, OSError, ValueError, KeyError, TypeError) as error:
        _say(f"The changed files could not be looked at: {' '.join(str(error).split())}")
        return 1
    return 0


def _look(options: argparse.Namespace, env: Mapping[str, str], scratch: Path) -> Look:
    order = json.loads((options.input / "inspect.json").read_bytes())
    lines: dict[str, Ranges] = {
        path: tuple((int(first), int(last)) for first, last in ranges)
        for path, ranges in order["lines"].items()
    }
    changed = frozenset(map(str, order["changed"]))
    tools = Tools(
        code=options.code,
        env=env,
        changed=changed,
        until=time.monotonic() + float(order["seconds"]),
        settled=end_descendants,
    )
    git = PrivateGit(base=options.base, scratch=scratch)
    return Look(tools=tools, git=git, scratch=scratch, lines=lines, changed=changed)


def _say(said: Finding | str) -> None:
    told = {"note": said} if isinstance(said, str) else asdict(said)
    whole = {key: _sendable(value) for key, value in told.items()}
    sys.stdout.write(json.dumps(whole) + "\n")
    sys.stdout.flush()


def _sendable(value: object) -> object:
    """Return text short, and without halves of surrogates, for which there is no room in UTF-8."""
    if not isinstance(value, str):
        return value
    return value[:_LONGEST].encode(errors="replace").decode()


if __name__ == "__main__":
    sys.exit(main())
