from datetime import date

from billing.dates import add_months


def test_next_month():
    assert add_months(date(2023, 3, 14), 1) == date(2023, 4, 14)


def test_over_a_year():
    assert add_months(date(2023, 11, 2), 2) == date(2024, 1, 2)
