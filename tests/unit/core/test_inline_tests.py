"""Tests among code are put back as they were, and nothing else is."""

import pytest

from codexsys_core.inline_tests import with_tests_of

TESTS = """\
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one() {
        assert_eq!(total(&[1]), 1);
    }
}
"""
CODE = "pub fn total(of: &[i64]) -> i64 {\n    of.iter().sum::<i64>() + 1\n}\n\n"
MENDED = CODE.replace(" + 1", "")


def test_tests_are_put_back_and_code_stays() -> None:
    weak = TESTS.replace("assert_eq!(total(&[1]), 1)", "assert!(true)")
    assert with_tests_of(CODE + TESTS, MENDED + weak + "// end\n") == MENDED + TESTS + "// end\n"


def test_what_has_the_same_tests_stays_as_it_is() -> None:
    more = "\n#[cfg(test)]\nmod more {\n}\n"
    assert with_tests_of(CODE + TESTS, MENDED + TESTS + more) == MENDED + TESTS + more
    assert with_tests_of(CODE, MENDED) == MENDED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (CODE + TESTS, MENDED),
        (CODE + TESTS, MENDED + TESTS.replace("mod tests", "mod others")),
        (CODE + TESTS, MENDED + TESTS + TESTS),
        (CODE + TESTS, MENDED + TESTS.replace("\n}\n", "\n")),
        (CODE + "#[test]\nfn one() {}\n", MENDED + "#[test]\nfn one() {}\n"),
    ],
)
def test_what_cannot_be_told_apart_is_said(old: str, new: str) -> None:
    assert with_tests_of(old, new) is None
