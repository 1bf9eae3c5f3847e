"""The rule for a verdict: what is needed for `verified`, and what a cheat ends as."""

from codexsys_core.judgement import Control, Findings, judge
from codexsys_core.verdict import CheckRun, Checks, TestReport, Verdict

PYTEST = Checks(command="pytest -q")


def run(
    passed: set[str], failed: set[str] | None = None, *, planted: bool = True, exit_code: int = 1
) -> CheckRun:
    report = TestReport(passed=frozenset(passed), failed=frozenset(failed or set()))
    return CheckRun(exit_code=exit_code, report=report, planted_failed=planted)


BEFORE = run({"a", "b"}, {"c"})


def verdict_of(findings: Findings, checks: Checks = PYTEST) -> Verdict:
    return judge(checks, findings).verdict


def test_all_pass_and_the_planted_test_fails() -> None:
    evidence = judge(PYTEST, Findings(baseline=BEFORE, result=run({"a", "b", "c"})))
    assert evidence.verdict is Verdict.VERIFIED
    assert evidence.before == {"passed": 2, "failed": 1}
    assert evidence.after == {"passed": 3, "failed": 0}
    assert evidence.fixed == ["c"]


def test_a_test_that_passed_before_fails() -> None:
    evidence = judge(PYTEST, Findings(baseline=BEFORE, result=run({"a", "c"}, {"b"})))
    assert evidence.verdict is Verdict.TESTS_FAILED
    assert evidence.broken == ["b"]
    assert evidence.sentences == ["1 tests fail that did not fail before: b."]


def test_a_test_that_passed_before_does_not_run() -> None:
    evidence = judge(PYTEST, Findings(baseline=BEFORE, result=run({"a", "c"})))
    assert evidence.verdict is Verdict.TESTS_FAILED
    assert evidence.missing == ["b"]


def test_a_new_test_that_fails_is_a_failure() -> None:
    assert (
        verdict_of(Findings(baseline=BEFORE, result=run({"a", "b", "c"}, {"new"})))
        is Verdict.TESTS_FAILED
    )


def test_a_report_without_the_planted_failure_is_not_believed() -> None:
    after = run({"a", "b", "c"}, planted=False, exit_code=0)
    assert verdict_of(Findings(baseline=BEFORE, result=after)) is Verdict.UNVERIFIED


def test_what_failed_before_and_still_fails_leaves_it_unverified() -> None:
    assert (
        verdict_of(Findings(baseline=BEFORE, result=run({"a", "b"}, {"c"}))) is Verdict.UNVERIFIED
    )


def test_exit_status_alone_is_at_most_unverified() -> None:
    silent = CheckRun(exit_code=0)
    assert verdict_of(Findings(baseline=silent, result=silent)) is Verdict.UNVERIFIED
    assert (
        verdict_of(Findings(baseline=BEFORE, result=CheckRun(exit_code=2))) is Verdict.TESTS_FAILED
    )


def test_a_report_that_is_no_longer_given_is_a_failure() -> None:
    silent = CheckRun(exit_code=0)
    assert verdict_of(Findings(baseline=BEFORE, result=silent)) is Verdict.TESTS_FAILED


def test_an_exit_status_that_needs_the_changed_definitions_is_tampering() -> None:
    good, bad = CheckRun(exit_code=0), CheckRun(exit_code=1)
    findings = Findings(baseline=good, result=good, guarded=bad)
    assert verdict_of(findings) is Verdict.TESTS_TAMPERED
    mended = Findings(baseline=bad, result=good, guarded=bad)
    assert verdict_of(mended) is Verdict.UNVERIFIED


def test_no_report_before_the_change_is_at_most_unverified() -> None:
    assert verdict_of(Findings(result=run({"a"}))) is Verdict.UNVERIFIED


def test_no_test_at_all_is_at_most_unverified() -> None:
    assert verdict_of(Findings(baseline=run(set()), result=run(set()))) is Verdict.UNVERIFIED


def test_skipped_checks_are_at_most_unverified() -> None:
    findings = Findings(baseline=BEFORE, result=run({"a", "b", "c"}))
    checks = Checks(command="pytest -q", strategy="skip")
    assert verdict_of(findings, checks) is Verdict.UNVERIFIED


def test_passing_only_with_changed_tests_is_tampering() -> None:
    after = run({"a", "b", "c"})
    guarded = run({"a"}, {"b", "c"})
    assert (
        verdict_of(Findings(baseline=BEFORE, result=after, guarded=guarded))
        is Verdict.TESTS_TAMPERED
    )


def test_a_silent_report_with_the_old_tests_is_tampering() -> None:
    after = run({"a", "b", "c"})
    for guarded in (CheckRun(exit_code=0), run({"a", "b"}, planted=False)):
        assert (
            verdict_of(Findings(baseline=BEFORE, result=after, guarded=guarded))
            is Verdict.TESTS_TAMPERED
        )


def test_honest_changes_of_tests_are_verified() -> None:
    after = run({"a", "b", "c", "new"})
    findings = Findings(baseline=BEFORE, result=after, guarded=run({"a", "b", "c"}))
    assert verdict_of(findings) is Verdict.VERIFIED


def test_a_failing_test_that_was_rewritten_to_pass_is_not_verified() -> None:
    guarded = run({"a", "b"}, {"c"})
    findings = Findings(baseline=BEFORE, result=run({"a", "b", "c"}), guarded=guarded)
    assert verdict_of(findings) is Verdict.UNVERIFIED


def test_writing_what_setup_made_is_tampering() -> None:
    findings = Findings(
        baseline=BEFORE, result=run({"a", "b", "c"}), setup_paths_touched=(".venv/bin/pytest",)
    )
    assert verdict_of(findings) is Verdict.TESTS_TAMPERED


def test_a_package_from_elsewhere_is_unverified() -> None:
    findings = Findings(baseline=BEFORE, result=run({"a", "b", "c"}), foreign_packages=("shop",))
    assert verdict_of(findings) is Verdict.UNVERIFIED


def test_checks_that_a_limit_ended_have_failed() -> None:
    ended = CheckRun(exit_code=None, reason="out_of_memory")
    assert verdict_of(Findings(baseline=BEFORE, result=ended)) is Verdict.TESTS_FAILED


def control(passed: set[str], failed: set[str], *, broken: set[str]) -> Control:
    return Control(broken=frozenset(broken), run=run(passed, failed))


def test_tests_that_cannot_pass_and_are_reported_as_passed_are_tampering() -> None:
    after = Findings(baseline=BEFORE, result=run({"a", "b", "c"}))
    lied = control({"a[1]"}, {"b", "c"}, broken={"a", "b", "c"})
    evidence = judge(PYTEST, after.model_copy(update={"control": lied}))
    assert evidence.verdict is Verdict.TESTS_TAMPERED
    assert evidence.sentences[0].endswith("a[1].")
    honest = control({"other"}, {"a", "b[x]"}, broken={"a", "b", "c"})
    evidence = judge(PYTEST, after.model_copy(update={"control": honest}))
    assert evidence.verdict is Verdict.VERIFIED
    assert "2 tests that the platform had made to fail" in evidence.sentences[1]


def test_a_control_without_a_report_leaves_it_unverified() -> None:
    silent = Control(broken=frozenset("a"), run=CheckRun(exit_code=None, reason="output_limit"))
    findings = Findings(baseline=BEFORE, result=run({"a", "b", "c"}), control=silent)
    assert verdict_of(findings) is Verdict.UNVERIFIED


def test_a_control_in_which_no_test_failed_shows_nothing() -> None:
    idle = control({"other"}, {"x"}, broken={"a", "b"})
    findings = Findings(baseline=BEFORE, result=run({"a", "b", "c"}), control=idle)
    evidence = judge(PYTEST, findings)
    assert evidence.verdict is Verdict.UNVERIFIED
    assert "was reported as failed" in evidence.sentences[0]


def test_a_failing_test_that_no_longer_runs_is_not_verified() -> None:
    evidence = judge(PYTEST, Findings(baseline=BEFORE, result=run({"a", "b"})))
    assert evidence.verdict is Verdict.UNVERIFIED
    assert evidence.sentences == ["1 tests failed before and did not run now: c."]


def test_an_end_that_hides_the_planted_failure_is_not_verified() -> None:
    after = run({"a", "b", "c"}, exit_code=0)
    assert verdict_of(Findings(baseline=BEFORE, result=after)) is Verdict.UNVERIFIED


def test_tests_that_run_only_without_the_change_of_their_definitions_are_tampering() -> None:
    findings = Findings(
        baseline=BEFORE,
        result=run({"a", "c"}),
        guarded=run({"a", "b", "c"}),
        watched=("conftest.py",),
    )
    evidence = judge(PYTEST, findings)
    assert evidence.verdict is Verdict.TESTS_TAMPERED
    assert "conftest.py" in evidence.sentences[1]
    silent = findings.model_copy(update={"result": CheckRun(exit_code=0)})
    assert verdict_of(silent) is Verdict.TESTS_TAMPERED


HOMES = run({"tests.test_a::test_x", "test_b.TestB::test_y[1.5]"})


def test_tests_may_go_from_files_that_may_be_changed() -> None:
    findings = Findings(baseline=HOMES, result=run({"test_b.TestB::test_y[1.5]"}))
    assert verdict_of(findings) is Verdict.TESTS_FAILED
    let_go = findings.model_copy(update={"opened": ("tests/test_a.py",)})
    evidence = judge(PYTEST, let_go)
    assert evidence.verdict is Verdict.VERIFIED
    assert evidence.sentences[1].endswith("may touch: tests.test_a::test_x.")


def test_a_test_may_move_if_it_passes_where_it_was() -> None:
    after = run({"tests.test_new::test_x", "test_b.TestB::test_y[1.5]"})
    guarded = run({"tests.test_a::test_x", "test_b.TestB::test_y[1.5]"})
    moved = Findings(baseline=HOMES, result=after, guarded=guarded)
    assert verdict_of(moved) is Verdict.VERIFIED
    broken = run({"test_b.TestB::test_y[1.5]"}, {"tests.test_a::test_x"})
    assert verdict_of(moved.model_copy(update={"guarded": broken})) is Verdict.TESTS_TAMPERED


def test_a_part_of_the_tests_is_never_enough_and_what_did_not_run_is_not_missing() -> None:
    part = Findings(baseline=BEFORE, result=run({"a"}), partial=True)
    evidence = judge(PYTEST, part)
    assert evidence.verdict is Verdict.UNVERIFIED
    assert evidence.sentences[0].startswith("Not all checks were run: 1 of 3 tests touch")
    assert not evidence.missing
    broken = part.model_copy(update={"result": run(set(), {"a"})})
    assert verdict_of(broken) is Verdict.TESTS_FAILED
    nothing = part.model_copy(update={"result": None})
    assert "no test touches" in judge(PYTEST, nothing).sentences[0]


def test_when_no_test_could_be_made_to_fail_it_is_not_known_that_they_run() -> None:
    findings = Findings(
        baseline=BEFORE,
        result=run({"a", "b", "c"}),
        control=control({"a", "b", "c"}, set(), broken=set()),
    )
    assert verdict_of(findings) is Verdict.UNVERIFIED
