"""Runs the check command inside a verify or baseline sandbox, with a report where it can.

A per-test report is claimed only for what is surely one plain pytest invocation. Anything else,
a chain, a pipe, a substitution, another runner, is run exactly as it was written.
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

_BROKEN = 125
_META = re.compile(r"[;&|<>`$(){}\n\r#!*?\[\]~\\]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_RUNNER = re.compile(r"(python(3(\.\d+)?)?)")
# Options of pytest and its usual plugins whose value is the next word.
_VALUED = set(
    [
        "-k",
        "-m",
        "-c",
        "-n",
        "-p",
        "-o",
        "-r",
        "-W",
        "-k",
        "--maxfail",
        "--rootdir",
        "--confcutdir",
        "--ignore",
        "--ignore-glob",
        "--deselect",
        "--durations",
        "--durations-min",
        "--tb",
        "--color",
        "--junitxml",
        "--junit-xml",
        "--junit-prefix",
        "--basetemp",
        "--log-level",
        "--log-file",
        "--log-cli-level",
        "--import-mode",
        "--override-ini",
        "--capture",
        "--verbosity",
        "--pythonwarnings",
        "--numprocesses",
        "--dist",
        "--maxprocesses",
        "--cov",
        "--cov-report",
        "--cov-config",
        "--timeout",
        "--randomly-seed",
        "--config-file",
        "--show-capture",
        "--last-failed-no-failures",
    ]
)


@dataclass(frozen=True, slots=True)
class Checks:
    """What checks.json asks for."""

    command: str
    planted: str | None


def main(arguments: list[str] | None = None) -> int:
    """Run the command and exit as it does."""
    parser = argparse.ArgumentParser(prog="codexsys_agent.checks")
    for name in ("code", "output", "input"):
        parser.add_argument(f"--{name}", type=Path, default=Path("/app") / name)
    options = parser.parse_args(arguments)
    try:
        checks = _read(options.input / "checks.json")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"checks: {error}\n")
        return _BROKEN
    own = dict(os.environ)  # noqa: TID251 - the sandbox's environment is the task's
    return run_checks(checks, code=options.code, output=options.output, own=own)


def run_checks(checks: Checks, *, code: Path, output: Path, own: Mapping[str, str]) -> int:
    """Run the command in the code's folder; its output passes through."""
    env = {name: value for name, value in own.items() if name != "PYTHONPATH"}
    command = checks.command
    words = pytest_words(command)
    if words is not None:
        report = output / "junit.xml"
        report.unlink(missing_ok=True)
        env["PYTEST_ADDOPTS"] = _added_options(report, own.get("PYTEST_ADDOPTS", ""))
        if checks.planted:
            file = _plant(code, checks.planted)
            command = with_planted(command, words, file)
    sys.stdout.flush()
    done = subprocess.run(
        ["bash", "-c", command], cwd=code, env=env, stdin=subprocess.DEVNULL, check=False
    )
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def pytest_words(command: str) -> list[str] | None:
    """The words after the runner when this is one plain pytest invocation, else None."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if _META.search(_unquoted(command)):
        return None
    while words and _ASSIGNMENT.match(words[0]):
        if words[0].startswith("PYTEST_ADDOPTS="):
            return None
        words = words[1:]
    if words and words[0].rpartition("/")[2] in ("pytest", "py.test"):
        return words[1:]
    if len(words) >= 3 and _RUNNER.fullmatch(words[0].rpartition("/")[2]):
        return words[3:] if words[1:3] == ["-m", "pytest"] else None
    return None


def with_planted(command: str, words: list[str], file: str) -> str:
    """The command with the planted file on it, and what it would have found without a path."""
    paths = [file] if _positional(words) else [".", file]
    # Everything after a lone -- is positional, so appending holds there as well.
    return f"{command.rstrip()} {' '.join(shlex.quote(path) for path in paths)}"


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


def _plant(code: Path, name: str) -> str:
    function = name if name.startswith("test_") else f"test_{name}"
    file = f"test_{name}.py"
    place = code / file
    # A link that waits under this name would need to know it; exclusive creation refuses it.
    with place.open("x", encoding="ascii") as opened:
        opened.write(f"def {function}():\n    assert False\n")
    return file


def _positional(words: list[str]) -> list[str]:
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            found += rest
        elif word in _VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            found.append(word)
    return found


def _unquoted(command: str) -> str:
    """The command without what single quotes protect; double quotes protect less."""
    without = re.sub(r"'[^']*'", "", command)
    return re.sub(r'"([^"$`\\]*)"', "", without)


if __name__ == "__main__":
    sys.exit(main())
