"""The rule for a verdict, from runs that the platform made itself. Pure: data in, evidence out."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from codexsys_core.verdict import CheckRun, Checks, Evidence, TestReport, Verdict

CAVEAT = "The platform cannot prove that a change is not special-cased to its tests."


class Findings(BaseModel):
    """What the platform found out about a change."""

    model_config = ConfigDict(frozen=True)

    baseline: CheckRun | None = None
    result: CheckRun | None = None
    guarded: CheckRun | None = None
    """The run with tests and check definitions as in the base; None when the change has none."""
    setup_paths_touched: tuple[str, ...] = ()
    """Paths that setup had created and the change writes."""
    foreign_packages: tuple[str, ...] = ()
    """Changed packages that would be imported from outside the workspace."""


def judge(checks: Checks, findings: Findings) -> Evidence:
    """Return the verdict on a change that is not empty (design §5.7)."""
    before, after = _report(findings.baseline), _report(findings.result)
    broken, missing, fixed = _compare(before, after)
    verdict, sentences = _weigh(checks, findings, broken=broken, missing=missing)
    return Evidence(
        verdict=verdict,
        sentences=sentences,
        command=checks.command,
        strategy=checks.strategy,
        before=_counts(before),
        after=_counts(after),
        fixed=fixed[:200],
        broken=broken[:200],
        missing=missing[:200],
    )


def _weigh(
    checks: Checks, findings: Findings, *, broken: list[str], missing: list[str]
) -> tuple[Verdict, list[str]]:
    if findings.setup_paths_touched:
        paths = ", ".join(findings.setup_paths_touched[:5])
        return Verdict.TESTS_TAMPERED, [f"The change writes what setup creates: {paths}."]
    if checks.strategy == "skip" or checks.command is None or findings.result is None:
        return Verdict.UNVERIFIED, [
            "No checks were run: there is no check command, or they were skipped."
        ]
    run, report = findings.result, findings.result.report
    if run.reason is not None:
        return Verdict.TESTS_FAILED, [f"The checks were ended: {run.reason}."]
    if report is None:
        return _by_exit_status(run, findings)
    if broken or missing:
        listed = (
            ("fail that did not fail before", broken),
            ("that passed before did not run", missing),
        )
        return Verdict.TESTS_FAILED, [_names(what, names) for what, names in listed if names]
    tampered = _tampered(findings)
    if tampered:
        return Verdict.TESTS_TAMPERED, tampered
    doubts = list(_doubts(checks, findings, report))
    if doubts:
        return Verdict.UNVERIFIED, doubts
    return Verdict.VERIFIED, [
        f"{len(report.passed)} tests passed in a fresh sandbox, the planted failing test was reported.",
        CAVEAT,
    ]


def _by_exit_status(run: CheckRun, findings: Findings) -> tuple[Verdict, list[str]]:
    if run.exit_code != 0:
        return Verdict.TESTS_FAILED, [
            f"The checks ended with exit status {run.exit_code} and no readable report."
        ]
    before, guarded = findings.baseline, findings.guarded
    if before is not None and before.report is not None and before.report.passed:
        return Verdict.TESTS_FAILED, [
            (
                "The checks gave a report before the change and give none after it, so tests that "
                "passed before are not known to have run."
            )
        ]
    if before is not None and before.exit_code == 0 and guarded and guarded.exit_code != 0:
        return Verdict.TESTS_TAMPERED, [
            (
                "With tests and their definitions as before the change, the checks end with exit "
                f"status {guarded.exit_code}."
            )
        ]
    return Verdict.UNVERIFIED, ["The checks ended with 0, but there is no report by test to read."]


def _tampered(findings: Findings) -> list[str]:
    """Say what only holds because tests or their definitions were changed."""
    run = findings.guarded
    if run is None:
        return []
    if run.report is None:
        return ["With tests and their definitions as before the change, the checks give no report."]
    broken, missing, _ = _compare(_report(findings.baseline), run.report)
    if broken or missing:
        return [
            "With the tests as before the change, tests that passed before no longer do: "
            + ", ".join((broken + missing)[:5])
        ]
    if not run.planted_failed:
        return [
            "With the tests as before the change, the planted failing test was not reported as failed."
        ]
    return []


def _doubts(checks: Checks, findings: Findings, report: TestReport) -> Iterable[str]:
    if checks.strategy != "full":
        yield "Not all checks were run."
    if findings.baseline is None or findings.baseline.report is None:
        yield "The checks gave no report before the change, so there is nothing to compare with."
    if not report.passed:
        yield "No test passed."
    if not findings.result or not findings.result.planted_failed:
        yield "The planted test that must fail was not reported as failed, so the report cannot be trusted."
    if report.failed:
        yield _names("failed before and still fail", sorted(report.failed))
    rewritten = _passing_only_as_changed(findings, report)
    if rewritten:
        yield _names("pass only because they were changed", rewritten)
    if findings.foreign_packages:
        yield (
            "Imported from outside the workspace, so the change may not be what was tested: "
            + ", ".join(findings.foreign_packages)
        )


def _passing_only_as_changed(findings: Findings, report: TestReport) -> list[str]:
    """Return tests that failed before, pass now, and still fail as they were before the change."""
    before, guarded = _report(findings.baseline), _report(findings.guarded)
    if before is None or guarded is None:
        return []
    return sorted((before.failed & report.passed) - guarded.passed)


def _compare(
    before: TestReport | None, after: TestReport | None
) -> tuple[list[str], list[str], list[str]]:
    """Return (broken, missing, fixed) test names."""
    if after is None:
        return [], [], []
    old = before or TestReport(passed=frozenset(), failed=frozenset())
    new_failures = after.failed - old.failed
    ran = after.passed | after.failed
    return sorted(new_failures), sorted(old.passed - ran), sorted(old.failed & after.passed)


def _report(run: CheckRun | None) -> TestReport | None:
    return run.report if run else None


def _counts(report: TestReport | None) -> dict[str, int] | None:
    return {"passed": len(report.passed), "failed": len(report.failed)} if report else None


def _names(what: str, names: list[str]) -> str:
    listed = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return f"{len(names)} tests {what}" + (f": {listed}." if names else ".")
