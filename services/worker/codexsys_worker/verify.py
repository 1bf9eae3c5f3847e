"""Verify: run the checks on clean trees in fresh sandboxes and weigh what they report."""

import json
import secrets as randomness
from dataclasses import dataclass, field

from codexsys_core.definitions import guarded
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import SandboxError
from codexsys_core.judgement import Findings, judge
from codexsys_core.junit import read_junit
from codexsys_core.outcome import Outcome
from codexsys_core.patch import Patch
from codexsys_core.sandbox import PhaseEnd, PhaseSpec, SandboxRole
from codexsys_core.verdict import CheckRun, Evidence, TestReport
from codexsys_worker.baselines import Baselines
from codexsys_worker.collect import collect
from codexsys_worker.room import Room
from codexsys_worker.setup import Setup
from codexsys_worker.stages import StageFailed, apply_patch, limit_outcome
from codexsys_worker.work import Work

_NOT_STARTED = (126, 127)
# Modified and deleted paths come back from the base; added ones go.
_RESTORE = """
set -e
git -c core.hooksPath=/dev/null restore --source=refs/heads/base --worktree \
    --pathspec-from-file=/app/input/keep --pathspec-file-nul
xargs -0 -r rm -rf -- < /app/input/drop
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


@dataclass
class Verifier:
    """Makes the runs that a verdict stands on; the baseline once per attempt."""

    work: Work
    setup: Setup
    baselines: Baselines
    tail: str = field(default="", init=False)
    """The end of the last check's output, without the planted test: what a rejected agent is told."""

    @property
    def wanted(self) -> bool:
        """Say whether there is anything to run."""
        checks = self.work.spec.checks
        return checks.command is not None and checks.strategy != "skip"

    async def baseline(self) -> CheckRun | None:
        """Run the checks on the base; raises `StageFailed` when they cannot start."""
        if not self.wanted:
            return None
        known = await self.baselines.recall(self.work)
        if known is not None:
            return known
        async with self.setup.room(SandboxRole.BASELINE) as room:
            await room.note("verify", "== checks before the change (one planted test must fail)")
            run = await self._run(room, Patch(tree="", diff=b"", files=[]), frozenset())
        if run.exit_code in _NOT_STARTED:
            detail = f"{self.work.spec.checks.command!r} ended with {run.exit_code}: not found or not executable."
            raise StageFailed(Outcome(reason=EndReason.CHECKS_NOT_STARTED, detail=detail))
        await self.baselines.keep(self.work, run)
        return run

    async def judge(
        self, patch: Patch, baseline: CheckRun | None, setup_paths: frozenset[str]
    ) -> Evidence:
        """Return the verdict on a change that is not empty."""
        checks = self.work.spec.checks
        paths = [file.path for file in patch.files]
        findings = Findings(
            baseline=baseline, setup_paths_touched=tuple(sorted(setup_paths & set(paths)))
        )
        if self.wanted and not findings.setup_paths_touched:
            watched = guarded(paths, command=checks.command or "", may_change=checks.may_change)
            result, foreign = await self._result(patch)
            second = await self._guarded(patch, watched) if watched else None
            findings = findings.model_copy(
                update={"result": result, "guarded": second, "foreign_packages": foreign}
            )
        return judge(checks, findings)

    async def _result(self, patch: Patch) -> tuple[CheckRun, tuple[str, ...]]:
        async with self.setup.room(SandboxRole.VERIFY) as room:
            await room.note("verify", "== checks after the change (one planted test must fail)")
            run = await self._run(room, patch, frozenset())
            foreign = await self._foreign(room, patch)
        if run.reason == "deadline":
            detail = f"The checks took longer than {self.work.spec.limits.checks_seconds} s."
            raise StageFailed(Outcome(reason=EndReason.CHECKS_TIMEOUT, detail=detail))
        return run, foreign

    async def _guarded(self, patch: Patch, watched: frozenset[str]) -> CheckRun:
        async with self.setup.room(SandboxRole.VERIFY) as room:
            await room.note(
                "verify", "== checks after the change, tests and their definitions as before it"
            )
            return await self._run(room, patch, watched)

    async def _run(self, room: Room, patch: Patch, watched: frozenset[str]) -> CheckRun:
        spec = self.work.spec
        await self.setup.run(room)
        await apply_patch(room, patch.diff, name="change")
        if watched:
            await self._restore(room, patch, watched)
        planted = f"planted_{randomness.token_hex(8)}"
        request = {"command": spec.checks.command, "planted": planted}
        phase = PhaseSpec(
            name="checks",
            argv=("codexsys-python", "-m", "codexsys_agent.checks"),
            env=spec.environment.variables,
            files={"checks.json": json.dumps(request).encode()},
            seconds=float(spec.limits.checks_seconds),
        )
        end = await room.run(phase, stream="verify")
        self.tail = await room.tail(phase.name, without=planted)
        return await self._read(room, end, planted)

    async def _read(self, room: Room, end: PhaseEnd, planted: str) -> CheckRun:
        """Read the runner's report from outside; what cannot be read is no report."""
        if limit_outcome(end) is not None:
            return CheckRun(exit_code=end.exit_code, reason=end.reason)
        left = await collect(
            room, name="collect-checks", skip=[], env=self.work.spec.environment.variables
        )
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

    async def _restore(self, room: Room, patch: Patch, watched: frozenset[str]) -> None:
        files = [file for file in patch.files if file.path in watched]
        keep = [file.path for file in files if file.status != "A"]
        drop = [file.path for file in files if file.status == "A"]
        phase = PhaseSpec(
            name="restore",
            argv=("bash", "-c", _RESTORE if keep else "xargs -0 -r rm -rf -- < /app/input/drop"),
            files={
                "keep": "\0".join(f":(literal){path}" for path in keep).encode(),
                "drop": "\0".join(drop).encode(),
            },
            seconds=60,
        )
        end = await room.run(phase, stream="verify")
        if end.exit_code != 0:
            raise SandboxError("The tests could not be put back as they were.")

    async def _foreign(self, room: Room, patch: Patch) -> tuple[str, ...]:
        """Name changed Python packages that are installed from outside the workspace."""
        packages = {
            file.path.removeprefix("src/").split("/")[0].removesuffix(".py")
            for file in patch.files
            if file.path.endswith(".py")
        }
        names = sorted(name for name in packages if name.isidentifier())
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
