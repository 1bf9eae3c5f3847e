"""What is taken for a plain pytest call, and what a planted test shows."""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.unit.agent.conftest import Sandbox

from codexsys_agent.checks import Checks, run_checks
from codexsys_agent.runners.pytest_call import positional_words, pytest_words

NAME = "test_k3j9x"


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("pytest", []),
        ("pytest -q", []),
        ("python3 -m pytest -x tests/unit", ["tests/unit"]),
        ("CI=1 .venv/bin/pytest -qk 'a and (b or c)' tests", ["tests"]),
        ("pytest -kadd -n4 --maxfail 1 --tb=short", []),
        ("pytest 'tests/a b.py::test_x[1]'", ["tests/a b.py::test_x[1]"]),
    ],
)
def test_plain_calls_are_recognised(command: str, named: list[str]) -> None:
    words = pytest_words(command)
    assert words is not None
    assert positional_words(words) == named


@pytest.mark.parametrize(
    "command",
    [
        "pytest && true",
        "pytest; true",
        "pytest | tail -3",
        "cd x && pytest",
        "pytest $(ls)",
        'pytest "$X"',
        "pytest tests/*.py",
        "pytest -q 'unclosed",
        "pytest # comment",
        "make test",
        "tox -e py -- pytest",
        "python test.py",
        "pytest --lf",
        "PYTEST_ADDOPTS=-x pytest",
        "",
    ],
)
def test_anything_else_claims_no_report(command: str) -> None:
    assert pytest_words(command) is None


def run(sandbox: Sandbox, command: str, planted: str | None = NAME) -> tuple[int, dict[str, bool]]:
    """The exit code, and each test's name with whether it passed."""
    code = run_checks(
        Checks(command, planted),
        code=sandbox.code,
        output=sandbox.root / "output",
        own={"PATH": os.environ["PATH"], "HOME": str(sandbox.root)},
    )
    report = sandbox.root / "output/junit.xml"
    if not report.exists():
        return code, {}
    cases = ET.parse(report).iter("testcase")
    return code, {case.get("name", ""): case.find("failure") is None for case in cases}


def lay_tests(sandbox: Sandbox) -> None:
    (sandbox.code / "test_calc.py").write_text("def test_first():\n    pass\n")
    (sandbox.code / "tests").mkdir()
    (sandbox.code / "tests/test_z.py").write_text("def test_last():\n    pass\n")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pytest -qx", {"test_first": True, "test_last": True, NAME: False}),
        ("python -m pytest tests", {"test_last": True, NAME: False}),
        ("pytest tests/test_z.py::test_last", {"test_last": True, NAME: False}),
    ],
)
def test_the_planted_test_is_the_one_failure(
    sandbox: Sandbox, command: str, expected: dict[str, bool]
) -> None:
    lay_tests(sandbox)
    assert run(sandbox, command) == (1, expected)


def test_without_a_plant_the_report_is_whole(sandbox: Sandbox) -> None:
    lay_tests(sandbox)
    assert run(sandbox, "pytest -q", None) == (0, {"test_first": True, "test_last": True})


def test_settings_of_the_tree_still_hold(sandbox: Sandbox) -> None:
    lay_tests(sandbox)
    (sandbox.code / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["te*"]\n')
    (sandbox.code / "test_calc.py").unlink()
    (sandbox.code / "other").mkdir()
    Path(sandbox.code / "other/test_other.py").write_text("def test_other():\n    assert False\n")
    assert run(sandbox, "pytest") == (1, {"test_last": True, NAME: False})


def test_a_report_that_was_there_is_gone_and_a_command_may_leave_its_own(sandbox: Sandbox) -> None:
    report = sandbox.root / "output/junit.xml"
    report.write_text("<testsuite><testcase name='old'/></testsuite>")
    assert run(sandbox, "true; exit 3") == (3, {})
    own = f"echo \"<testsuite><testcase name='mine'/></testsuite>\" > {report}; true"
    assert run(sandbox, own) == (0, {"mine": True})


def test_a_chain_runs_as_it_is(sandbox: Sandbox) -> None:
    assert run(sandbox, "exit 7") == (7, {})
    assert run(sandbox, "kill -9 $$") == (137, {})
    assert not list(sandbox.code.glob("test_test_*"))
