"""Verify: run the checks on clean trees in fresh sandboxes and weigh what they report."""

from dataclasses import dataclass, field

from codexsys_core.definitions import guarded, is_definition, is_test, opened
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import TooLarge
from codexsys_core.inline_tests import may_hold_tests, with_tests_of
from codexsys_core.inspection import Inspection, inspectable
from codexsys_core.judgement import Control, Findings, judge, plain_name
from codexsys_core.outcome import Outcome
from codexsys_core.patch import Patch, PatchBench
from codexsys_core.sandbox import SandboxRole
from codexsys_core.verdict import CheckRun, Evidence, Verdict
from codexsys_worker.baselines import Baselines
from codexsys_worker.checking import Checking, Order, package_of
from codexsys_worker.setup import Setup
from codexsys_worker.stages import StageFailed
from codexsys_worker.work import Work

_NOT_STARTED = (126, 127)
NOTHING_TO_RUN = 5
"""The exit code of checks of which none touches the change."""
AFFORDABLE = 1 / 3
"""Of the time that checks have: what the whole of them may take to be run after the part that touches the change."""


@dataclass
class Verifier:
    """Makes the runs that a verdict stands on; the baseline once per attempt."""

    work: Work
    setup: Setup
    baselines: Baselines
    bench: PatchBench
    tail: str = field(default="", init=False)
    """The end of the checks' output after the last change: what a rejected agent is told."""

    inspection: Inspection | None = field(default=None, init=False)
    """What a look at the files of the last change came to; None where there was none."""

    unusable: str = field(default="", init=False)
    """Why checks that were found, and not asked for, are not run."""

    @property
    def wanted(self) -> bool:
        """Say whether there is anything to run."""
        checks = self.work.checks
        return checks.command is not None and checks.strategy != "skip" and not self.unusable

    async def baseline(self) -> CheckRun | None:
        """Run the checks on the base; raises `StageFailed` when they cannot start."""
        if not self.wanted:
            return None
        run = await self.baselines.recall(self.work) or await self._first_run()
        if self.work.found is None or run.report is not None or run.exit_code == 0:
            return run
        ended = run.reason or f"exit status {run.exit_code}"
        self.unusable = (
            f"`{self.work.found.command}` was found in {self.work.found.place}, but does not run on "
            f"the source as it was ({ended}). Say how to check it with checks.command."
        )
        return None

    async def _first_run(self) -> CheckRun:
        order = Order("checks before the change (one planted test must fail)")
        run = await self._checking().run(SandboxRole.BASELINE, order)
        if run.exit_code in _NOT_STARTED and self.work.found is None:
            detail = f"{self.work.checks.command!r} ended with {run.exit_code}: not found or not executable."
            raise StageFailed(Outcome(reason=EndReason.CHECKS_NOT_STARTED, detail=detail))
        await self.baselines.keep(self.work, run)
        return run

    async def judge(
        self, patch: Patch, baseline: CheckRun | None, setup_paths: frozenset[str]
    ) -> Evidence:
        """Return the verdict on a change that is not empty, and what else is to be looked at in it."""
        self.inspection = None
        evidence = await self._judge(patch, baseline, setup_paths)
        found = await self._inspection_of(patch, setup_paths)
        return evidence.model_copy(update={"flags": found.flags, "looked": found.notes})

    async def _inspection_of(self, patch: Patch, setup_paths: frozenset[str]) -> Inspection:
        """Return what was found beside the checks; without checks, or a use for them, it is done alone."""
        if self.inspection is not None:
            return self.inspection
        if setup_paths.intersection(file.path for file in patch.files) or not inspectable(patch):
            return Inspection()
        return await self._checking().only_inspect(patch)

    async def _judge(
        self, patch: Patch, baseline: CheckRun | None, setup_paths: frozenset[str]
    ) -> Evidence:
        checks = self.work.checks
        paths = {file.path for file in patch.files}
        findings = Findings(
            baseline=baseline,
            opened=tuple(
                sorted(
                    path
                    for path in paths
                    if (is_test(path) or is_definition(path)) and opened(path, checks.may_change)
                )
            ),
            setup_paths_touched=tuple(sorted(setup_paths & paths)),
            found=self.work.found,
            unusable=self.unusable,
            isolated=self.setup.rooms.isolated,
        )
        if not self.wanted or findings.setup_paths_touched:
            return judge(checks, findings)
        if checks.strategy == "incremental":
            findings = await self._of_a_part(patch, findings)
            if findings.partial and not self._goes_on(findings):
                return judge(checks, findings)
        findings = await self._after(patch, findings)
        evidence = judge(checks, findings)
        if evidence.verdict is not Verdict.VERIFIED:
            return evidence
        return judge(checks, await self._controlled(patch, findings))

    async def _of_a_part(self, patch: Patch, findings: Findings) -> Findings:
        """Run the tests that touch the change alone."""
        checking = self._checking()
        order = Order(
            "checks after the change, those that touch it",
            patch,
            part=True,
            first=True,
            inspected=True,
        )
        run = await checking.run(SandboxRole.VERIFY, order)
        self.tail, self.inspection = checking.tail, checking.inspection
        if run.exit_code == NOTHING_TO_RUN and run.report is None:
            return findings.model_copy(update={"partial": True})
        found = {"result": run, "partial": True, "foreign_packages": checking.foreign}
        return findings.model_copy(update=found)

    def _goes_on(self, findings: Findings) -> bool:
        """Say whether all tests are run, too: no touched one fails, and the others do not take too long."""
        if judge(self.work.checks, findings).verdict is Verdict.TESTS_FAILED:
            return False
        before = findings.baseline
        if before is None or before.reason is not None or before.seconds is None:
            return False
        return before.seconds <= self.work.spec.limits.checks_seconds * AFFORDABLE

    async def _after(self, patch: Patch, findings: Findings) -> Findings:
        """Run the checks on the result, and again with tests and their definitions as before."""
        checking = self._checking()
        order = Order(
            "checks after the change (one planted test must fail)",
            patch,
            first=True,
            inspected=self.inspection is None,
        )
        result = await checking.run(SandboxRole.VERIFY, order)
        self.tail, self.inspection = checking.tail, self.inspection or checking.inspection
        if result.reason == "deadline":
            detail = f"The checks took longer than {self.work.spec.limits.checks_seconds} s."
            raise StageFailed(Outcome(reason=EndReason.CHECKS_TIMEOUT, detail=detail))
        watched = self._watched(patch, findings.baseline, checking.foreign)
        rewritten, inline = await self._inline(patch, watched)
        again = Order(
            "checks after the change, tests and their definitions as before it",
            patch,
            watched=watched,
            rewritten=rewritten,
        )
        guard = bool(watched or rewritten)
        return findings.model_copy(
            update={
                "result": result,
                "partial": False,
                "guarded": await self._checking().run(SandboxRole.VERIFY, again) if guard else None,
                "watched": tuple(
                    sorted([*watched, *(f"{path} (its tests)" for path in rewritten)])
                ),
                "inline": inline,
                "foreign_packages": checking.foreign,
            }
        )

    async def _inline(
        self, patch: Patch, watched: frozenset[str]
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return changed code with its own tests as before, and that whose tests cannot be told apart."""
        rewritten, inline = dict[str, str](), list[str]()
        for file in patch.files:
            allowed = opened(file.path, self.work.checks.may_change)
            if (
                file.status != "M"
                or file.path in watched
                or allowed
                or not may_hold_tests(file.path)
            ):
                continue
            try:
                put_back = await self._put_back(patch, file.path)
            except (TooLarge, UnicodeDecodeError):
                put_back = None
            if put_back is None:
                inline.append(file.path)
            else:
                rewritten |= put_back
        return rewritten, tuple(inline)

    async def _put_back(self, patch: Patch, path: str) -> dict[str, str] | None:
        trees = ("refs/heads/base", patch.tree)
        read = [await self.bench.read(self.work.base_dir, tree, path) or b"" for tree in trees]
        old, new = (text.decode() for text in read)
        text = with_tests_of(old, new)
        return None if text is None else {path: text} if text != new else {}

    async def _controlled(self, patch: Patch, findings: Findings) -> Findings:
        """Run once more with all tests made to fail: what runs in one process with them can lie for them."""
        report = findings.result.report if findings.result else None
        tests = frozenset(map(plain_name, report.passed)) if report else frozenset()
        checking = self._checking()
        order = Order("checks with all tests made to fail", patch, breaking=tests)
        run = await checking.run(SandboxRole.VERIFY, order)
        return findings.model_copy(update={"control": Control(broken=checking.broken, run=run)})

    def _watched(
        self, patch: Patch, baseline: CheckRun | None, foreign: tuple[str, ...]
    ) -> frozenset[str]:
        """Name the changed paths whose base version is tried: tests, definitions, and what shadows a module."""
        checks = self.work.checks
        report = baseline.report if baseline else None
        watched = guarded(
            [file.path for file in patch.files],
            command=checks.command or "",
            may_change=checks.may_change,
            tests=report.passed | report.failed if report else (),
        )
        shadows = [f.path for f in patch.files if f.status == "A" and package_of(f.path) in foreign]
        return watched.union(path for path in shadows if not opened(path, checks.may_change))

    def _checking(self) -> Checking:
        return Checking(work=self.work, setup=self.setup)
