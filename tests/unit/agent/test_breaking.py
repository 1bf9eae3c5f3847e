"""Tests that are made to fail: which, and that the rest of their files stays as it was."""

import os
import subprocess
import sys

import pytest
from tests.unit.agent.conftest import Sandbox

from codexsys_agent.breaking import break_tests

FILE = '''\
"""A module."""

import unittest

import pytest
from elsewhere import retried


def helper():
    return 1


def test_plain():
    """Say what."""
    assert helper() == 1


def test_on_one_line(): assert helper() == 1; helper()


@pytest.mark.parametrize("n", [1, 2])
def test_of_numbers(n):
    @staticmethod
    def inner():
        pass
    assert n


@retried
def test_of_its_own_will():
    pass


class TestThings:
    def test_method(self):
        with open(__file__):
            pass

    async def test_later(self):
        pass
'''
ALL = {
    "tests.test_x::test_plain",
    "tests.test_x::test_on_one_line",
    "tests.test_x::test_of_numbers",
    "tests.test_x::test_of_its_own_will",
    "tests.test_x.TestThings::test_method",
    "tests.test_x.TestThings::test_later",
    "tests.test_y::test_plain",
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_is_named_fails_and_what_is_not_plain_stays(sandbox: Sandbox, ends: str) -> None:
    (sandbox.code / "tests").mkdir()
    file = sandbox.code / "tests/test_x.py"
    file.write_text(FILE, newline=ends)
    broken = break_tests(sandbox.code, frozenset(ALL))
    assert broken == ALL - {"tests.test_x::test_of_its_own_will", "tests.test_y::test_plain"}
    assert file.read_bytes().count(b"raise AssertionError") == 5
    assert file.read_bytes().count(ends.encode()) >= FILE.count("\n")
    compile(file.read_bytes(), "x", "exec")


def test_a_report_that_counts_from_another_folder_is_understood(sandbox: Sandbox) -> None:
    (sandbox.code / "tests").mkdir()
    (sandbox.code / "tests/test_x.py").write_text("def test_a():\n    pass\n")
    assert break_tests(sandbox.code, frozenset({"test_x::test_a"})) == {"test_x::test_a"}


def test_what_cannot_be_read_as_python_is_passed_over(sandbox: Sandbox) -> None:
    (sandbox.code / "test_a.py").write_text("def test_a(:\n")
    (sandbox.code / "test_b.py").write_bytes(b"def test_b():\n    '\xff'\n")
    (sandbox.code / "test_c.py").symlink_to("/etc/passwd")
    assert break_tests(sandbox.code, frozenset({"test_a::test_a", "test_b::test_b"})) == set()


def test_they_fail_in_the_runner(sandbox: Sandbox) -> None:
    (sandbox.code / "test_x.py").write_text(
        FILE.replace("from elsewhere import retried", "retried = lambda f: f")
    )
    break_tests(sandbox.code, frozenset(name.removeprefix("tests.") for name in ALL))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_x.py"],
        cwd=sandbox.code,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert b"1 passed" in done.stdout
    assert b"made to fail" in done.stdout
