"""Which changed paths are tried in their base version, too."""

import pytest

from codexsys_core.definitions import guarded, holds, is_definition, is_test, named_in


@pytest.mark.parametrize(
    "path",
    ["test_a.py", "a/b_test.py", "tests/data.json", "x/__tests__/a.js", "a_test.go", "src/a.spec.ts", "ATest.java", "src/__mocks__/fs.js"],
)  # fmt: skip
def test_tests_are_known_by_their_names(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize("path", ["latest.java", "spec/api.yaml", "contest.py", "src/tester.py"])
def test_other_files_are_not_taken_for_tests(path: str) -> None:
    assert not is_test(path)


@pytest.mark.parametrize(
    "path",
    ["conftest.py", "pytest.toml", "a/Makefile", "x.egg-info/entry_points.txt", "src/json.py", ".venv/bin/pytest", "a/__pycache__/b.pyc", "Cargo.toml", "jest.config.e2e.ts", "jest-setup.mjs", "src/setupTests.ts", "vitest.workspace.ts", "vitest.setup.ts", "setup-vitest.ts", "vitest-setup.js"],
)  # fmt: skip
def test_what_decides_how_tests_run_is_known(path: str) -> None:
    assert is_definition(path)


@pytest.mark.parametrize("path", ["packages/jest-dom/src/index.js", "src/setup.ts", "jester.py"])
def test_what_only_sounds_like_it_does_not(path: str) -> None:
    assert not is_definition(path)


@pytest.mark.parametrize(
    ("command", "path", "named"),
    [
        ("./check.sh --all", "check.sh", True),
        ("cd tools && sh ./check.sh", "tools/check.sh", True),
        ("python3 -m tools.check", "tools/check.py", True),
        ("python3 -m tools", "tools/__main__.py", True),
        ("X=1 bash -c 'ci/run;true'", "ci/run", True),
        ("pytest -q", "shop.py", False),
        ("make check", "check.sh", False),
    ],
)
def test_what_a_command_names(command: str, path: str, named: bool) -> None:
    assert named_in(command, path) is named


def test_files_that_tests_were_reported_from_are_tests_whatever_they_are_called() -> None:
    paths = ["checks/a.py", "b.py", "shop.py"]
    tests = ["checks.a.TestA::test_x[1.5]", "b::inspect", "shop::shop.total"]
    assert guarded(paths, command="pytest", may_change=[], tests=tests) == {"checks/a.py", "b.py"}
    assert guarded(paths, command="pytest", may_change=["checks/*"], tests=tests) == {"b.py"}


def test_a_link_in_the_place_of_a_folder_of_tests_is_guarded() -> None:
    assert guarded(["tests", "tests/test_a.py"], command="pytest", may_change=[]) == {
        "tests",
        "tests/test_a.py",
    }


def test_where_a_test_lives() -> None:
    assert holds("tests/test_a.py", "tests.test_a.TestA::test_x[a.b]")
    assert not holds("tests/test_a.py", "tests.test_ab::test_x")
    assert not holds("shop.py", "shop::shop.total")
