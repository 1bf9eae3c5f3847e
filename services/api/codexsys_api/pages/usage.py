"""Turns the usage of the REST API into what its page says and draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from codexsys_api.pages import text
from codexsys_api.pages.plot import Plot, bars
from codexsys_api.pages.views import Fact

Json = Mapping[str, Any]
RANGES = (7, 30, 90)


@dataclass(frozen=True, slots=True)
class Shown:
    """Two plots and the numbers above them."""

    facts: list[Fact]
    money: Plot
    tokens: Plot
    span: str


def shown(usage: Json) -> Shown:
    """Draw money and tokens by day."""
    days = usage["days"]
    dates = [date.fromisoformat(day["day"]) for day in days]
    money = [float(day["cost_usd"]) for day in days]
    tokens = [float(tokens_of(day)) for day in days]
    return Shown(
        facts=[*_facts(usage["total"]), *_today(usage["today"])],
        money=bars(
            dates,
            money,
            money,
            height=250,
            said=text.money,
            tell=lambda n: f"{text.day(dates[n])}: {text.money(money[n])}, {_tasks(days[n])}",
        ),
        tokens=bars(
            dates,
            tokens,
            [float(day["output_tokens"]) for day in days],
            height=190,
            said=text.short,
            tell=lambda n: f"{text.day(dates[n])}: {tokens_of(days[n]):,} tokens",
        ),
        span=f"{text.day(dates[0])} to {text.day(dates[-1])}",
    )


def day(written: str) -> str:
    """Say a day of the REST API."""
    return text.day(date.fromisoformat(written))


def tokens_of(sums: Json) -> int:
    """Return all tokens of some tasks."""
    return int(sums["input_tokens"] + sums["output_tokens"])


def _tasks(day: Json) -> str:
    return f"{text.plural(day['tasks'], 'task')}, {day['verified']:,} verified"


def _facts(total: Json) -> list[Fact]:
    tasks, verified, cost = total["tasks"], total["verified"], total["cost_usd"]
    share = f"{round(100 * verified / tasks)} %" if tasks else ""
    return [
        Fact("Cost", text.money(cost)),
        Fact("Tasks", f"{tasks:,}"),
        Fact("Verified", f"{verified:,}", share),
        Fact("Cost for each verified", text.money(cost / verified) if verified else text.NOTHING),
        Fact("Tokens", text.short(tokens_of(total)), f"{text.short(total['output_tokens'])} out"),
        Fact("Model calls", f"{total['calls']:,}"),
    ]


def _today(day: Json) -> list[Fact]:
    """Say what calls came to today, where that is limited."""
    money, tokens = day["limit_usd"], day["limit_tokens"]
    facts = []
    if money is not None:
        spent = day["cost_usd"]
        facts.append(
            Fact("Spent today", text.money(spent), f"of {text.money(money)}", spent, money)
        )
    if tokens is not None:
        used = day["tokens"]
        more = f"of {text.short(tokens)}"
        facts.append(Fact("Tokens today", text.short(used), more, used, tokens))
    return facts
