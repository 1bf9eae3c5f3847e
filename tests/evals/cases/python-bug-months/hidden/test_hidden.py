from datetime import date

import pytest
from billing.dates import add_months


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2023, 1, 31), 1, date(2023, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2024, 1, 15), -1, date(2023, 12, 15)),
        (date(2023, 12, 1), 0, date(2023, 12, 1)),
        (date(2023, 10, 31), 2, date(2023, 12, 31)),
        (date(2023, 3, 31), -13, date(2022, 2, 28)),
    ],
)
def test_months(day, months, expected):
    assert add_months(day, months) == expected
