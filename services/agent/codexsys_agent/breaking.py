"""Makes tests fail on their first line, so that a later run shows whether they are run at all.

Works on what stands in the workspace, before any of it runs, and says on stdout which tests it broke.
"""

import argparse
import json
import sys
from pathlib import Path

from codexsys_agent.broken.go import break_go
from codexsys_agent.broken.javascript import break_javascript
from codexsys_agent.broken.python import break_python
from codexsys_agent.broken.rust import break_rust


def main(arguments: list[str] | None = None) -> int:
    """Break what tests.json names, as far as it is found."""
    parser = argparse.ArgumentParser(prog="codexsys_agent.breaking")
    for name in ("code", "input"):
        parser.add_argument(f"--{name}", type=Path, default=Path("/app") / name)
    options = parser.parse_args(arguments)
    wanted = frozenset(map(str, json.loads((options.input / "tests.json").read_bytes())))
    json.dump(sorted(break_tests(options.code, wanted)), sys.stdout)
    return 0


def break_tests(code: Path, wanted: frozenset[str]) -> set[str]:
    """Change files below the code's folder; returns which of the names, as reports have them, must fail now."""
    broken: set[str] = set()
    for known in (break_python, break_go, break_rust, break_javascript):
        broken |= known(code, wanted)
    return broken


if __name__ == "__main__":
    sys.exit(main())
