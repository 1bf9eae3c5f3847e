"""Runs the check command inside a verify or baseline sandbox, with a report where it can.

A per-test report is claimed only for what is surely one plain pytest invocation. Anything else,
a chain, a pipe, a substitution, another runner, is run exactly as it was written, and may leave a
report of its own in the same place.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codexsys_agent.pytest_command import plant, pytest_words
from codexsys_agent.shell import without_agent

_BROKEN = 125


@dataclass(frozen=True, slots=True)
class Checks:
    """What checks.json asks for."""

    command: str
    planted: str | None = None


def main(arguments: list[str] | None = None) -> int:
    """Run the command and exit as it does."""
    parser = argparse.ArgumentParser(prog="codexsys_agent.checks")
    for name in ("code", "output", "input"):
        parser.add_argument(f"--{name}", type=Path, default=Path("/app") / name)
    options = parser.parse_args(arguments)
    own = dict(os.environ)  # noqa: TID251 - the sandbox's environment is the task's
    try:
        checks = _read(options.input / "checks.json")
        return run_checks(checks, code=options.code, output=options.output, own=own)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"checks: {error}\n")
        return _BROKEN


def run_checks(checks: Checks, *, code: Path, output: Path, own: Mapping[str, str]) -> int:
    """Run the command in the code's folder; its output passes through."""
    env = without_agent(own)
    command = checks.command
    words = pytest_words(command)
    report = output / "junit.xml"
    report.unlink(missing_ok=True)
    if words is not None:
        env["PYTEST_ADDOPTS"] = _added_options(report, own.get("PYTEST_ADDOPTS", ""))
        command = _whole_run(command, words, code, checks.planted)
    done = subprocess.run(
        ["bash", "-c", command], cwd=code, env=env, stdin=subprocess.DEVNULL, check=False
    )
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _whole_run(command: str, words: list[str], code: Path, planted: str | None) -> str:
    # -x would end the report at the first failure; the last word on it wins. After a lone --
    # everything is a path.
    added = [] if "--" in words else ["--maxfail=0"]
    if planted:
        added += plant(code, words, planted)
    return " ".join([command.strip(), *(shlex.quote(word) for word in added)])


def _read(file: Path) -> Checks:
    raw = json.loads(file.read_bytes())
    command, planted = raw.get("command"), raw.get("planted")
    if not isinstance(command, str) or not command.strip():
        raise ValueError("checks.json: command: a string is expected")
    if planted is not None and not re.fullmatch(r"[A-Za-z0-9_]{1,80}", str(planted)):
        raise ValueError("checks.json: planted: a plain name is expected")
    return Checks(command, planted)


def _added_options(report: Path, earlier: str) -> str:
    added = f"-p no:cacheprovider --junitxml={shlex.quote(str(report))} -o junit_family=xunit2"
    return f"{earlier} {added}".strip()


if __name__ == "__main__":
    sys.exit(main())
