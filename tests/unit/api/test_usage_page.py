"""The usage page says and draws what the REST body says, whole and safe."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from tests.unit.api.shown import HOSTILE, FixedClock, Page

from codexsys_api.pages import PageContext, Pages, text
from codexsys_api.pages.plot import LEFT, RIGHT, WIDTH, bars

CTX = PageContext(principal_name="cdx_7k2q", csrf="csrf-token", tenant="harbor", path="/usage")
FIRST = date(2026, 11, 1)


def sums(tasks: int = 0, cost_usd: float = 0.0) -> dict[str, Any]:
    tokens = {"input_tokens": tasks * 21_000, "output_tokens": tasks * 3_000, "cached_tokens": 0}
    return {"tasks": tasks, "verified": tasks // 2, "calls": tasks * 7, **tokens} | {
        "cost_usd": cost_usd
    }


def a_report(days: int = 30, **changes: Any) -> dict[str, Any]:
    told = [
        {"day": str(FIRST + timedelta(days=n)), **sums(n % 7, n % 7 * 0.5)} for n in range(days)
    ]
    tasks = sum(day["tasks"] for day in told)
    report = {
        "from": str(FIRST),
        "to": told[-1]["day"],
        "label": None,
        "days": told,
        "values": [],
        "more": False,
        "total": sums(tasks, tasks * 0.5),
        "today": {"cost_usd": 1.5, "tokens": 2500, "limit_usd": None, "limit_tokens": None},
    }
    return report | changes


def page(report: dict[str, Any], **more: str) -> Page:
    return Page(Pages(clock=FixedClock()).usage(report, CTX, **more))


@pytest.mark.parametrize("days", [1, 7, 30, 92])
def test_every_day_is_drawn_and_those_with_tasks_are_a_table(days: int) -> None:
    report = a_report(days, total=sums(9, 4.5))
    seen = page(report)
    drawn = [each for each in seen.all("rect") if each.get("class")]
    assert len(drawn) == 3 * days + 2
    assert [each["datetime"] for each in seen.all("time")] == [
        day["day"] for day in reversed(report["days"]) if day["tasks"]
    ]
    assert "$4.50" in seen.text
    assert "Sun 1 Nov 2026: $0.00, 0 tasks, 0 verified" in seen.text
    assert not any("style" in attributes for _, attributes in seen.tags)


def test_what_is_left_of_today_is_shown_where_it_is_limited() -> None:
    assert "today" not in page(a_report(7)).text
    limited = {"cost_usd": 1.5, "tokens": 2500, "limit_usd": 20, "limit_tokens": 10_000}
    seen = page(a_report(7, today=limited)).text
    assert "Spent today" in seen
    assert "of $20.00" in seen
    assert "of 10 k" in seen


def test_without_a_task_there_is_nothing_to_draw() -> None:
    seen = page(a_report(7, total=sums()))
    assert "No tasks in these days" in seen.text
    assert not [each for each in seen.all("rect") if each.get("class")]


def test_the_values_of_a_label_lead_to_theirs_and_hostile_ones_stay_text() -> None:
    values = [{"value": value, **sums(1)} for value in ("web", HOSTILE, "", None)]
    seen = page(a_report(label=HOSTILE, values=values, more=True), label=HOSTILE, wrong=HOSTILE)
    assert [name for name, _ in seen.tags].count("script") == 2
    assert "without it" in seen.text
    assert "the 4 dearest" in seen.text
    assert any("%3Dweb" in (each["href"] or "") for each in seen.all("a"))
    field = next(each for each in seen.all("input") if each["name"] == "label")
    assert field["aria-describedby"] == "label-e"


def test_bars_stay_within_their_scale() -> None:
    for most in (0.0, 0.0004, 1.0, 3.0, 99.9, 123_456_789.0):
        values = [0.0, most / 3, most]
        days = [FIRST + timedelta(days=n) for n in range(3)]
        drawn = bars(days, values, values, height=250, said=text.money, tell=str)
        tops = [float(bar.y) for bar in drawn.bars]
        assert all(9.9 <= top <= drawn.bottom for top in tops), most
        assert float(drawn.lines[-1].at) == 10.0
        assert most == 0 or tops[-1] < drawn.bottom * 0.55
        assert all(LEFT < float(bar.x) < WIDTH - RIGHT for bar in drawn.bars)
        assert [mark.said for mark in drawn.names] == ["1 Nov", "2 Nov", "3 Nov"]


def test_large_numbers_are_short() -> None:
    said = [text.short(each) for each in (0, 7, 999, 1000, 21_400, 999_999, 64_912_345)]
    assert said == ["0", "7", "999", "1 k", "21.4 k", "1,000 k", "64.9 M"]
