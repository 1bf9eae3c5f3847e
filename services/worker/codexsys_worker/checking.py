"""One run of the checks in a fresh sandbox: the tree put together, the command run, its report read."""

import json
import secrets as randomness
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from codexsys_core.errors import SandboxError
from codexsys_core.inspection import Inspection
from codexsys_core.junit import read_junit
from codexsys_core.patch import Patch
from codexsys_core.sandbox import PhaseEnd, PhaseSpec, SandboxRole
from codexsys_core.verdict import CheckRun, TestReport
from codexsys_worker.collect import collect
from codexsys_worker.inspecting import inspect
from codexsys_worker.room import Room
from codexsys_worker.setup import Setup
from codexsys_worker.stages import StageFailed, apply_patch, limit_outcome
from codexsys_worker.work import Work

UNCHANGED = Patch(tree="", diff=b"", files=[])
# Added paths go, among them links that stand where a folder was; the others come back from the base.
_RESTORE = """
set -e
xargs -0 -r rm -rf -- < /app/input/drop
if [ -s /app/input/keep ]; then
  git -c core.hooksPath=/dev/null restore --source=refs/heads/base --worktree \
    --pathspec-from-file=/app/input/keep --pathspec-file-nul
fi
n=0
while IFS= read -r -d '' path; do cat "/app/input/text$n" > "$path"; n=$((n + 1)); done < /app/input/texts
"""
_ORIGINS = """
import importlib.util, os, sys
os.chdir("/")
for name in open("/app/input/packages").read().split():
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    places = [spec.origin or "", *(spec.submodule_search_locations or [])] if spec else []
    if any(place and not place.startswith("/app/code/") for place in places):
        print(name)
"""
MOST_FAILURES = 64 * 1024 * 1024
"""Bytes that a run may say in which every test fails."""
_MOST_NAMES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Order:
    """What to run the checks on."""

    note: str
    """What the log says that is done here."""
    patch: Patch = UNCHANGED
    part: bool = False
    """Whether only the tests that touch the change are run."""
    first: bool = False
    """Whether to find out, too, what of the change is imported from elsewhere."""
    inspected: bool = False
    """Whether parsers, linters and formatters look at the changed files afterwards."""
    watched: frozenset[str] = frozenset()
    """Changed paths that are put back as they were in the base."""
    rewritten: Mapping[str, str] = field(default_factory=dict)
    """Changed paths, each with what it holds when its tests are as in the base."""
    breaking: frozenset[str] = frozenset()
    """Tests that are made to fail, so that it shows whether they are run."""


@dataclass
class Checking:
    """Runs the checks of one attempt."""

    work: Work
    setup: Setup
    tail: str = field(default="", init=False)
    """The end of the last run's output, without the planted test: what a rejected agent is told."""
    foreign: tuple[str, ...] = field(default=(), init=False)
    """Changed packages that were found outside the workspace, before the last run's checks."""
    inspection: Inspection | None = field(default=None, init=False)
    """Of the changed files, once they were looked at beside the checks."""
    broken: frozenset[str] = field(default=frozenset(), init=False)
    """Tests that were made to fail for the last run."""

    async def run(self, role: SandboxRole, order: Order) -> CheckRun:
        """Make a sandbox for this run alone; raises `StageFailed` when it cannot be set up."""
        async with self.setup.room(role) as room:
            await room.note("verify", f"== {order.note}")
            await self.setup.run(room)
            await apply_patch(room, order.patch.diff, name="change")
            # Before the first line of the change runs: what it says of itself counts for nothing.
            self.foreign = await self._foreign(room, order.patch) if order.first else ()
            self.broken = await self._break(room, order.breaking)
            if order.watched or order.rewritten:
                await self._restore(room, order)
            run = await self._check(room, order)
            if order.inspected:
                await self._inspect(room, order.patch, run)
            return run

    async def only_inspect(self, patch: Patch) -> Inspection:
        """Look at the changed files in a sandbox in which no checks run."""
        seconds = float(self.work.spec.limits.checks_seconds)
        try:
            async with self.setup.room(SandboxRole.VERIFY) as room:
                await self.setup.run(room)
                await apply_patch(room, patch.diff, name="change")
                return await inspect(room, self.work, patch, seconds=seconds)
        except (StageFailed, SandboxError) as error:
            # Nothing stands on this: without it the change is what it is.
            return Inspection(notes=[f"Changed files could not be looked at: {error}"])

    async def _inspect(self, room: Room, patch: Patch, run: CheckRun) -> None:
        """Look when the checks are over and their report is out: no setting of a tool can touch it any more."""
        if run.reason is not None:
            note = "Changed files were not looked at: a limit ended the checks."
            self.inspection = Inspection(notes=[note])
            return
        left = self.work.spec.limits.checks_seconds - (run.seconds or 0.0)
        self.inspection = await inspect(room, self.work, patch, seconds=left)

    async def _check(self, room: Room, order: Order) -> CheckRun:
        spec, shown = self.work.spec, not order.breaking
        planted = f"test_{randomness.token_hex(6)}"
        request: dict[str, Any] = {"command": self.work.checks.command, "planted": planted}
        if order.part:
            request["changed"] = [file.path for file in order.patch.files]
        phase = PhaseSpec(
            name="checks",
            argv=("codexsys-python", "-m", "codexsys_agent.checks"),
            env=spec.environment.variables,
            files={"checks.json": json.dumps(request).encode()},
            seconds=float(spec.limits.checks_seconds),
            output_bytes=None if shown else MOST_FAILURES,
        )
        # Not shown is not told to the sandbox: the two runs are to look alike in there.
        began = time.monotonic()
        end = await room.run(phase, stream="verify" if shown else None)
        seconds = time.monotonic() - began
        if shown:
            self.tail = await room.tail(phase.name, without=planted)
        run = await self._read(room, end, planted)
        return run.model_copy(update={"seconds": seconds})

    async def _read(self, room: Room, end: PhaseEnd, planted: str) -> CheckRun:
        """Read the runner's report from outside; what cannot be read is no report."""
        if limit_outcome(end) is not None:
            return CheckRun(exit_code=end.exit_code, reason=end.reason)
        env = self.work.spec.environment.variables
        left = await collect(room, name="collect-checks", skip=[], env=env, tree=False)
        report = read_junit(left.outputs.get("junit.xml", b""))
        if report is None:
            return CheckRun(exit_code=end.exit_code)
        mine = frozenset(name for name in report.failed if planted in name)
        others = TestReport(
            passed=frozenset(name for name in report.passed if planted not in name),
            failed=report.failed - mine,
            skipped=report.skipped,
        )
        return CheckRun(exit_code=end.exit_code, report=others, planted_failed=len(mine) == 1)

    async def _restore(self, room: Room, order: Order) -> None:
        files = [file for file in order.patch.files if file.path in order.watched]
        keep = [f":(literal){file.path}" for file in files if file.status != "A"]
        drop = [file.path for file in files if file.status == "A"]
        texts = {f"text{n}": text.encode() for n, text in enumerate(order.rewritten.values())}
        phase = PhaseSpec(
            name="restore",
            argv=("bash", "-c", _RESTORE),
            files=texts
            | {
                "keep": "\0".join(keep).encode(),
                "drop": "\0".join(drop).encode(),
                "texts": "".join(f"{path}\0" for path in order.rewritten).encode(),
            },
            seconds=60,
        )
        end = await room.run(phase, stream="verify")
        if end.exit_code != 0:
            raise SandboxError("The tests could not be put back as they were.")

    async def _break(self, room: Room, tests: frozenset[str]) -> frozenset[str]:
        """Make these tests fail; returns those that were."""
        if not tests:
            return frozenset()
        phase = PhaseSpec(
            name="breaking",
            argv=("codexsys-python", "-m", "codexsys_agent.breaking"),
            files={"tests.json": json.dumps(sorted(tests)).encode()},
            seconds=60,
            output="binary",
        )
        end, output = await room.read(phase, most=_MOST_NAMES)
        if end.exit_code != 0:
            raise SandboxError("The tests could not be made to fail.")
        return frozenset(str(name) for name in json.loads(output))

    async def _foreign(self, room: Room, patch: Patch) -> tuple[str, ...]:
        """Name changed Python packages that are installed from outside the workspace."""
        names = sorted({package_of(file.path) for file in patch.files} - {""})
        if not names:
            return ()
        phase = PhaseSpec(
            name="origins",
            argv=(
                "bash",
                "-c",
                "command -v python3 >/dev/null || exit 0; exec python3 /app/input/origins.py",
            ),
            files={"packages": "\n".join(names).encode(), "origins.py": _ORIGINS.encode()},
            env=self.work.spec.environment.variables,
            seconds=30,
            output="binary",
        )
        _, output = await room.read(phase, most=65_536)
        found = output.decode(errors="replace").split()
        return tuple(name for name in names if name in found)


def package_of(path: str) -> str:
    """Return the package or module that a file is imported by, empty where it is none."""
    name = path.removeprefix("src/").split("/")[0].removesuffix(".py")
    return name if path.endswith(".py") and name.isidentifier() else ""
