"""Which paths are guarded, and how a runner's report is read."""

import pytest

from codexsys_core.definitions import guarded, is_definition, is_test
from codexsys_core.ids import TimeOrderedIds, host_name
from codexsys_core.junit import read_junit


@pytest.mark.parametrize(
    "path",
    [
        "conftest.py",
        "tests/conftest.py",
        "pyproject.toml",
        "sub/setup.cfg",
        "Makefile",
        "GNUmakefile",
        ".github/workflows/ci.yml",
        "pytest.py",
        "pytest/__init__.py",
        "src/json.py",
        "logging/__init__.py",
        "sitecustomize.py",
        "evil.pth",
        ".venv/lib/x.py",
        "uv.lock",
        "setup.sh",
        ".gitattributes",
    ],
)
def test_what_decides_how_checks_run(path: str) -> None:
    assert is_definition(path)


@pytest.mark.parametrize(
    "path", ["inventory/stock.py", "src/shop/cart.py", "docs/testing.md", "web/app.js"]
)
def test_what_is_just_code(path: str) -> None:
    assert not is_definition(path)
    assert not is_test(path)


@pytest.mark.parametrize(
    "path", ["tests/unit/x.py", "test_a.py", "pkg/tests/data.json", "a_test.py"]
)
def test_what_is_a_test(path: str) -> None:
    assert is_test(path)


def test_may_change_opens_paths_and_the_command_guards_what_it_names() -> None:
    paths = ["tests/a.py", "tests/api/b.py", "check.sh", "shop.py"]
    found = guarded(paths, command="bash 'check.sh' && true", may_change=["tests/api/**"])
    assert found == {"tests/a.py", "check.sh"}


def test_a_report_is_read_by_name() -> None:
    report = read_junit(
        b"<testsuites><testsuite><testcase classname='t' name='ok'/>"
        b"<testcase classname='t' name='bad'><failure/></testcase>"
        b"<testcase classname='t' name='err'><error/></testcase>"
        b"<testcase classname='t' name='skip'><skipped/></testcase></testsuite></testsuites>"
    )
    assert report is not None
    assert report.passed == {"t::ok"}
    assert report.failed == {"t::bad", "t::err"}
    assert report.skipped == {"t::skip"}


def test_a_test_reported_twice_counts_as_failed() -> None:
    report = read_junit(
        b"<a><testcase classname='t' name='x'/><testcase classname='t' name='x'><failure/></testcase></a>"
    )
    assert report is not None
    assert report.failed == {"t::x"}
    assert not report.passed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<a",
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        b"\x00\xff",
        b"<a>" + b"x" * (33 << 20) + b"</a>",
    ],
)
def test_what_is_no_report(data: bytes) -> None:
    assert read_junit(data) is None


def test_ids_are_ordered_and_fit_their_columns() -> None:
    ids = TimeOrderedIds()
    made = [ids.new("task") for _ in range(1000)]
    assert len(set(made)) == len(made)
    assert {len(one) for one in made} == {31}
    assert host_name(made[0]).startswith("task-")
