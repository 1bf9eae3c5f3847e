"""The pages, and who looks at them."""

import pytest
from tests.unit.api.shown import FixedClock

from codexsys_api.pages import PageContext, Pages


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages(clock=FixedClock(), version="0.1.0")


@pytest.fixture
def ctx() -> PageContext:
    return PageContext(principal_name="cdx_7k2q", csrf="csrf-token", tenant="harbor", path="/tasks")
