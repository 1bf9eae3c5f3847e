"""Runs the check command inside a verify or baseline sandbox, with a report where it can.

A per-test report is claimed only for what is surely one plain call of a runner that is known. Anything
else, a chain, a pipe, a substitution, another runner, is run exactly as it was written, and may leave
a report of its own in the same place.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from codexsys_agent.descendants import adopt_orphans, end_descendants
from codexsys_agent.runners.call import Call, Given
from codexsys_agent.runners.known import call_of
from codexsys_agent.runners.narrowed import narrowed
from codexsys_agent.shell import without_agent
from codexsys_agent.telling import Telling, clear

_BROKEN = 125
NOTHING_TO_RUN = 5
"""As pytest ends when it finds no test."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What checks.json asks for."""

    command: str
    planted: str | None = None
    changed: tuple[str, ...] | None = None
    """Paths, where only the tests that touch them are to be run."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and exit as it does."""
    parser = argparse.ArgumentParser(prog="codexsys_agent.checks")
    for name in ("code", "output", "input"):
        parser.add_argument(f"--{name}", type=Path, default=Path("/app") / name)
    options = parser.parse_args(arguments)
    own = dict(os.environ)  # noqa: TID251 - the sandbox's environment is the task's
    try:
        checks = _read(options.input / "checks.json")
        adopt_orphans()
        return run_checks(
            checks,
            code=options.code,
            output=options.output,
            own=own,
            settled=end_descendants,
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"checks: {error}\n")
        return _BROKEN


def run_checks(
    checks: Checks,
    *,
    code: Path,
    output: Path,
    own: Mapping[str, str],
    settled: Callable[[], bool] = lambda: True,
) -> int:
    """Run the command in the code's folder; its output passes through.

    `settled` ends what the command left behind; where it cannot, there is no report.
    """
    env = without_agent(own)
    report = output / "junit.xml"
    report.unlink(missing_ok=True)
    command: str | None = checks.command
    if checks.changed is not None:
        command = narrowed(checks.command, code, checks.changed)
        sys.stdout.write(f"$ {command or '(no test touches the change)'}\n")
        sys.stdout.flush()
    if command is None:
        return NOTHING_TO_RUN
    with tempfile.TemporaryDirectory(prefix="checks-") as scratch, Telling() as telling:
        told = Path(f"/dev/fd/{telling.writing}")
        given = Given(command, code, Path(scratch), told, env, checks.planted)
        call = call_of(given)
        ended = _run(call or Call(command), telling, code, env)
        settled_well = settled()
        if call is not None:
            clear(report)
            if settled_well:
                telling.write(report)
    return ended if ended >= 0 else 128 - ended


def _run(call: Call, telling: Telling, code: Path, env: Mapping[str, str]) -> int:
    """Run to the end of the command itself; what it left behind may still tell something."""
    output = telling.writing if call.listener else None
    process = subprocess.Popen(
        ["bash", "-c", call.command],
        cwd=code,
        env={**env, **call.env},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=() if call.listener else (telling.writing,),
    )
    telling.begin(call.listener)
    return process.wait()


def _read(file: Path) -> Checks:
    raw = json.loads(file.read_bytes())
    command, planted = raw.get("command"), raw.get("planted")
    if not isinstance(command, str) or not command.strip():
        raise ValueError("checks.json: command: a string is expected")
    if planted is not None and not re.fullmatch(r"[A-Za-z0-9_]{1,80}", str(planted)):
        raise ValueError("checks.json: planted: a plain name is expected")
    changed = raw.get("changed")
    if changed is not None and not (
        isinstance(changed, list) and all(isinstance(path, str) for path in changed)
    ):
        raise ValueError("checks.json: changed: a list of paths is expected")
    return Checks(command, planted, None if changed is None else tuple(changed))


if __name__ == "__main__":
    sys.exit(main())
