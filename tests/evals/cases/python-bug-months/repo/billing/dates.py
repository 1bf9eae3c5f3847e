"""Dates of invoices."""

from datetime import date


def add_months(day: date, months: int) -> date:
    """Return the same day some months later."""
    month = day.month + months
    year = day.year + month // 12
    return date(year, month % 12 or 12, day.day)
