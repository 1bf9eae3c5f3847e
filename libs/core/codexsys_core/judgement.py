"""The rule for a verdict, from runs that the platform made itself. Pure: data in, evidence out."""

import re
from collections.abc import Collection, Iterable

from pydantic import BaseModel, ConfigDict

from codexsys_core.definitions import holds
from codexsys_core.found_checks import FoundChecks
from codexsys_core.verdict import CheckRun, Checks, Evidence, TestReport, Verdict

CAVEAT = "The platform cannot prove that a change is not special-cased to its tests."
_PARAMETERS = re.compile(r"^((?:[^\s\[]*::)?\w+)\[.*$", re.DOTALL)
_NOTHING = TestReport(passed=frozenset(), failed=frozenset())


class Control(BaseModel):
    """A run with tests that cannot pass: who reports one of them as passed reports what did not happen."""

    model_config = ConfigDict(frozen=True)

    broken: frozenset[str]
    """Tests, without their parameters, that raise on their first line in this run."""
    run: CheckRun


class Findings(BaseModel):
    """What the platform found out about a change."""

    model_config = ConfigDict(frozen=True)

    partial: bool = False
    """Whether the result is of the tests that touch the change alone: of the others nothing is known."""
    isolated: bool = True
    """Whether sandboxes kept the agent away from what the checks were run on."""
    baseline: CheckRun | None = None
    result: CheckRun | None = None
    guarded: CheckRun | None = None
    """The run with tests and check definitions as in the base; None when the change has none."""
    control: Control | None = None
    """Made only where nothing else speaks against `verified`."""
    watched: tuple[str, ...] = ()
    """Changed paths that are in their base version in the guarded run."""
    opened: tuple[str, ...] = ()
    """Changed paths of tests and definitions that the submitter lets the change touch."""
    setup_paths_touched: tuple[str, ...] = ()
    """Paths that setup had created and the change writes."""
    found: FoundChecks | None = None
    """Checks that nobody asked for."""
    unusable: str = ""
    """Why these were not run."""
    inline: tuple[str, ...] = ()
    """Changed files of code whose own tests could not be put back as they were."""
    foreign_packages: tuple[str, ...] = ()
    """Changed packages that would be imported from outside the workspace."""


class Comparison(BaseModel):
    """Tests after the change against tests before it."""

    model_config = ConfigDict(frozen=True)

    broken: list[str]
    """Fail, and did not fail before."""
    missing: list[str]
    """Passed before and did not run."""
    fixed: list[str]
    silent: list[str]
    """Failed before and did not run."""
    let_go: list[str]
    """Did not run, and need not: their file may be changed, and was."""


def judge(checks: Checks, findings: Findings) -> Evidence:
    """Return the verdict on a change that is not empty (design §5.7)."""
    before, after = _report(findings.baseline), _report(findings.result)
    compared = _compare(findings, after)
    verdict, sentences = _weigh(checks, findings, compared)
    return Evidence(
        verdict=verdict,
        sentences=sentences,
        command=checks.command,
        found_in=findings.found.place if findings.found else None,
        strategy=checks.strategy,
        before=_counts(before),
        after=_counts(after),
        fixed=compared.fixed[:200],
        broken=compared.broken[:200],
        missing=compared.missing[:200],
    )


def _weigh(checks: Checks, findings: Findings, compared: Comparison) -> tuple[Verdict, list[str]]:
    if findings.setup_paths_touched:
        paths = ", ".join(findings.setup_paths_touched[:5])
        return Verdict.TESTS_TAMPERED, [f"The change writes what setup creates: {paths}."]
    if checks.strategy == "skip" or checks.command is None or findings.result is None:
        return Verdict.UNVERIFIED, [_not_run(checks, findings)]
    run, report = findings.result, findings.result.report
    if run.reason is not None:
        return Verdict.TESTS_FAILED, [f"The checks were ended: {run.reason}."]
    if report is None:
        return _by_exit_status(run, findings)
    if compared.broken or compared.missing:
        return _failing(findings, compared)
    tampered = _tampered(findings)
    if tampered:
        return Verdict.TESTS_TAMPERED, tampered
    doubts = list(_doubts(findings, report, compared))
    if doubts:
        return Verdict.UNVERIFIED, doubts
    return Verdict.VERIFIED, list(_proofs(findings, report, compared))


def _not_run(checks: Checks, findings: Findings) -> str:
    if checks.strategy == "skip":
        return "No checks were run: they were to be skipped."
    if findings.unusable:
        return f"No checks were run: {findings.unusable}"
    if findings.partial:
        return "No checks were run: no test touches the change by its name, and all of them take too long."
    return "No checks were run: there is no check command, and none was found in the source."


def _by_exit_status(run: CheckRun, findings: Findings) -> tuple[Verdict, list[str]]:
    before, guarded = findings.baseline, findings.guarded
    reported = before is not None and before.report is not None and bool(before.report.passed)
    if reported and guarded is not None and guarded.report is not None:
        return Verdict.TESTS_TAMPERED, [
            "The checks give no report any more, and give one with these files as before the change: "
            + _listed(findings.watched)
        ]
    if run.exit_code != 0:
        return Verdict.TESTS_FAILED, [
            f"The checks ended with exit status {run.exit_code} and no readable report."
        ]
    if reported:
        return Verdict.TESTS_FAILED, [
            (
                "The checks gave a report before the change and give none after it, so tests that "
                "passed before are not known to have run."
            )
        ]
    sentences = ["The checks ended with 0, but there is no report by test to read."]
    if guarded is not None and guarded.exit_code != 0:
        as_before = (
            f"With these files as before the change, the checks end with exit status "
            f"{guarded.exit_code}: {_listed(findings.watched)}"
        )
        if before is not None and before.exit_code == 0:
            return Verdict.TESTS_TAMPERED, [as_before]
        sentences.append(as_before)
    return Verdict.UNVERIFIED, sentences


def _failing(findings: Findings, compared: Comparison) -> tuple[Verdict, list[str]]:
    """Tests fail or are gone; who made them go by changing what checks has tampered."""
    listed = (
        ("fail that did not fail before", compared.broken),
        ("that passed before did not run", compared.missing),
    )
    sentences = [_names(what, names) for what, names in listed if names]
    guarded = _report(findings.guarded)
    if guarded is not None and _ran(guarded) & set(compared.missing) and not compared.broken:
        sentences.append(
            f"They run with these files as before the change: {_listed(findings.watched)}"
        )
        return Verdict.TESTS_TAMPERED, sentences
    return Verdict.TESTS_FAILED, sentences


def _tampered(findings: Findings) -> list[str]:
    """Say what only holds because tests, their definitions or their reports were changed."""
    run, control = findings.guarded, findings.control
    if control is not None and control.run.report is not None:
        passed = sorted(
            name for name in control.run.report.passed if plain_name(name) in control.broken
        )
        if passed:
            return [
                _names("that the platform had made to fail are reported as passed", passed),
                "The change reports what did not happen.",
            ]
    if run is None:
        return []
    if run.report is None:
        return ["With tests and their definitions as before the change, the checks give no report."]
    compared = _compare(findings, run.report)
    if compared.broken or compared.missing:
        return [
            "With the tests as before the change, tests that passed before no longer do: "
            + _listed(compared.broken + compared.missing)
        ]
    if not run.planted_failed:
        return [
            "With the tests as before the change, the planted failing test was not reported as failed."
        ]
    return []


def _doubts(findings: Findings, report: TestReport, compared: Comparison) -> Iterable[str]:
    if not findings.isolated:
        yield "There was no sandbox, so what the checks were run on was not out of the agent's reach."
    if findings.partial:
        yield _of_a_part(findings, report)
    if findings.baseline is None or findings.baseline.report is None:
        yield "The checks gave no report before the change, so there is nothing to compare with."
    if not report.passed:
        yield "No test passed."
    yield from _doubts_of_the_runner(findings)
    yield from _doubts_of_tests(findings, report, compared)
    if findings.inline:
        yield f"Tests that stand among code that was changed may be changed, too: {_listed(findings.inline)}"
    if findings.foreign_packages:
        yield (
            "Imported from outside the workspace, so the change may not be what was tested: "
            + ", ".join(findings.foreign_packages)
        )


def _of_a_part(findings: Findings, report: TestReport) -> str:
    before = _report(findings.baseline)
    ran, known = len(_ran(report)), len(_ran(before)) if before else None
    of = f"{ran} of {known}" if known else f"{ran}"
    return f"Not all checks were run: {of} tests touch the change, and the others take too long."


def _doubts_of_the_runner(findings: Findings) -> Iterable[str]:
    if not findings.result or not findings.result.planted_failed:
        yield "The planted test that must fail was not reported as failed, so the report cannot be trusted."
    elif findings.result.exit_code == 0:
        yield "The checks ended with 0 although the planted test failed, so their end cannot be trusted."
    control = findings.control
    if control is not None and not control.broken:
        yield "No test could be made to fail, so it is not known that they are run."
    elif control is not None and control.run.report is None:
        yield "With every test made to fail, the checks gave no report, so theirs cannot be trusted."
    elif control is not None and not _made_to_fail(control):
        yield "No test that was made to fail was reported as failed, so it is not known that they are run."


def _doubts_of_tests(findings: Findings, report: TestReport, compared: Comparison) -> Iterable[str]:
    rewritten = _passing_only_as_changed(findings, report)
    for what, names in (
        ("failed before and still fail", sorted(report.failed)),
        ("failed before and did not run now", compared.silent),
        ("pass only because they were changed", rewritten),
    ):
        if names:
            yield _names(what, names)


def _proofs(findings: Findings, report: TestReport, compared: Comparison) -> Iterable[str]:
    yield f"{len(report.passed)} tests passed in a fresh sandbox, the planted failing test was reported."
    control = findings.control
    if control is not None and control.run.report is not None:
        yield (
            f"In one more run, {len(_made_to_fail(control))} tests that the platform had made to fail were "
            "reported as failed, and none as passed."
        )
    if findings.guarded is not None:
        yield f"Tests pass with these files as before the change, too: {_listed(findings.watched)}"
    if compared.let_go:
        yield _names("are gone from files that the change may touch", compared.let_go)
    yield CAVEAT


def _made_to_fail(control: Control) -> set[str]:
    report = _report(control.run) or _NOTHING
    return {plain_name(name) for name in report.failed} & control.broken


def _passing_only_as_changed(findings: Findings, report: TestReport) -> list[str]:
    """Return tests that failed before, pass now, and still fail as they were before the change."""
    before, guarded = _report(findings.baseline), _report(findings.guarded)
    if before is None or guarded is None:
        return []
    return sorted((before.failed & report.passed) - guarded.passed)


def _compare(findings: Findings, after: TestReport | None) -> Comparison:
    if after is None:
        return Comparison(broken=[], missing=[], fixed=[], silent=[], let_go=[])
    old = _report(findings.baseline) or _NOTHING
    if findings.partial:
        old = _limited(old, _ran(after))
    gone = (old.passed | old.failed) - _ran(after)
    let_go = {name for name in gone if any(holds(path, name) for path in findings.opened)}
    gone -= let_go | _moved(gone, old, after, _report(findings.guarded))
    return Comparison(
        broken=sorted(after.failed - old.failed),
        missing=sorted(old.passed & gone),
        fixed=sorted(old.failed & after.passed),
        silent=sorted(old.failed & gone),
        let_go=sorted(let_go),
    )


def _limited(report: TestReport, ran: Collection[str]) -> TestReport:
    return TestReport(
        passed=report.passed.intersection(ran), failed=report.failed.intersection(ran)
    )


def _moved(
    gone: Collection[str], old: TestReport, after: TestReport, guarded: TestReport | None
) -> set[str]:
    """Return tests that pass where they were before, and by the same name in a new place now."""
    if guarded is None:
        return set()
    new = {name.partition("::")[2] for name in after.passed - _ran(old)}
    return {name for name in gone if name in guarded.passed and name.partition("::")[2] in new}


def plain_name(name: str) -> str:
    """Return a test's name without the parameters that pytest puts behind a function."""
    return _PARAMETERS.sub(r"\1", name)


def _ran(report: TestReport) -> frozenset[str]:
    return report.passed | report.failed


def _report(run: CheckRun | None) -> TestReport | None:
    return run.report if run else None


def _counts(report: TestReport | None) -> dict[str, int] | None:
    return {"passed": len(report.passed), "failed": len(report.failed)} if report else None


def _names(what: str, names: list[str]) -> str:
    return f"{len(names)} tests {what}" + (f": {_listed(names)}" if names else ".")


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (" …" if len(shown) > 5 else ".")
