"""The evals are whole: enough of each kind, and solutions that fit their repositories."""

import re
from collections import Counter

import pytest
from tests.evals.case import KINDS, LANGUAGES, Case, all_cases

CASES = all_cases()


def test_there_are_enough_of_every_language_and_kind() -> None:
    assert len(CASES) >= 20
    assert {(case.language, case.kind) for case in CASES} == {
        (language, kind) for language in LANGUAGES for kind in KINDS
    }
    assert min(Counter(case.language for case in CASES).values()) >= 4


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_can_be_judged(case: Case) -> None:
    assert case.name.startswith(f"{case.language}-{case.kind}-")
    assert case.repository
    assert case.solution[-1]["tool"] == "finish"
    if case.kind == "explain":
        assert case.answer
        assert not case.checks
        said = case.solution[-1]["summary"]
        assert all(re.search(each, said) for each in case.answer)
    else:
        assert case.checks
        assert case.accept
        assert case.hidden
        assert not case.hidden.keys() & case.repository.keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_edits_of_a_solution_apply(case: Case) -> None:
    tree = {name: content.decode() for name, content in case.repository.items()}
    for step in case.solution:
        if step["tool"] == "write":
            tree[step["path"]] = step["content"]
        elif step["tool"] == "edit":
            text = tree[step["path"]].replace("\r\n", "\n")
            assert text.count(step["old"]) == 1, step
            tree[step["path"]] = text.replace(step["old"], step["new"])
