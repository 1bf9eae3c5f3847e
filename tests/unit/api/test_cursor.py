"""A list that is there as a whole is cut into pages."""

from dataclasses import dataclass

import pytest

from codexsys_api.routes.cursor import following
from codexsys_core.errors import Invalid


@dataclass(frozen=True)
class Thing:
    id: str


THINGS = [Thing(f"att_{number:026}") for number in (0, 1, 2, 4, 5)]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
def test_the_pages_are_the_list(limit: int) -> None:
    found: list[Thing] = []
    cursor: str | None = None
    pages = 0
    while cursor is not None or not found:
        page, cursor = following(THINGS, cursor, limit)
        assert 1 <= len(page) <= limit
        found += page
        pages += 1
    assert found == THINGS
    assert pages == -(-len(THINGS) // limit)


def test_an_empty_list_is_one_empty_page() -> None:
    assert following([], None, 9) == ([], None)


def test_a_cursor_that_is_gone_stands_where_it_stood() -> None:
    assert following(THINGS, f"{3:026}", 9) == (THINGS[3:], None)
    assert following(THINGS, "z" * 26, 9) == ([], None)


def test_what_is_no_cursor_is_refused() -> None:
    with pytest.raises(Invalid):
        following(THINGS, "9", 1)
