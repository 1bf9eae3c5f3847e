"""What a run showed, as a person and as a program read it."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.chaos.checker import adoptions, ends_of, restarts
from tests.chaos.history import UNKNOWN, Entry
from tests.chaos.nemesis import Fault
from tests.chaos.run import SETTLE_SECONDS, Outcome
from tests.support.fault_proxy import Weather

MOST_SHOWN = 50
ANSWER_503_SECONDS = 1.5
SLOW = {Weather.LATENCY, Weather.SLOW}


def figures(outcome: Outcome) -> dict[str, Any]:
    """Return the run's figures."""
    rows = outcome.evidence.rows
    submits = outcome.history.of("submit")
    accepted = {entry.data["id"] for entry in submits if entry.result == 202}
    statuses = Counter(row["status"] for row in rows["tasks"])
    refused = [entry for entry in outcome.history.entries if entry.result == 503]
    held_up = [entry for entry in refused if _held_up(entry, outcome.faults)]
    return {
        "sustained_without_faults": outcome.sustained,
        "rate": round(outcome.rate, 2),
        "accepted": len(accepted),
        "tasks": len(rows["tasks"]),
        "statuses": dict(statuses),
        "end_reasons": dict(ends_of(outcome.evidence)),
        "operations": len(outcome.history.entries),
        "unknown_answers": sum(entry.result == UNKNOWN for entry in outcome.history.entries),
        "refused_503": len(refused),
        "slowest_503_seconds": _slowest(entry for entry in refused if entry not in held_up),
        "slowest_503_seconds_on_slow_ways_or_of_stopped_apis": _slowest(held_up),
        "submit_p99_seconds": _p99(submits),
        "cancels_by_point": _cancels(outcome),
        "answered_questions": sum(e.result == 200 for e in outcome.history.of("answer")),
        "takeovers": sum(row["takeovers"] for row in rows["attempts"]),
        "adopted": sum(len(adoptions(outcome.evidence, row["id"])) for row in rows["tasks"]),
        "restarted_from_checkpoint": sum(
            len(restarts(outcome.evidence, row["id"])) for row in rows["tasks"]
        ),
        "attempts": len(rows["attempts"]),
        "sandboxes": len(rows["sandboxes"]),
        "settled_after_seconds": outcome.settled_after and round(outcome.settled_after, 1),
    }


def missed(outcome: Outcome) -> list[str]:
    """Say which promises and figures were missed."""
    told = outcome.wrong + [str(each) for each in outcome.broken]
    if outcome.settled_after is None or outcome.settled_after > SETTLE_SECONDS:
        told.append(f"no rest within {SETTLE_SECONDS:g} s of the last fault")
    found = figures(outcome)
    if found["slowest_503_seconds"] > ANSWER_503_SECONDS:
        told.append(f"a 503 took longer than {ANSWER_503_SECONDS:g} s")
    return told


def write(outcome: Outcome, folder: Path) -> str:
    """Write report.json and report.md; return the latter."""
    found, wrong = figures(outcome), missed(outcome)
    faults = [fault.told() for fault in outcome.faults]
    whole = {"plan": asdict(outcome.plan), "figures": found, "missed": wrong, "faults": faults}
    (folder / "report.json").write_text(json.dumps(whole, indent=1, default=str))
    plan, places = outcome.plan, "apart" if outcome.plan.apart else "of one place"
    lines = [
        f"# Chaos, seed {plan.seed}",
        "",
        f"{plan.tasks} `{plan.sandbox}` tasks at {outcome.rate:.2f}/s, {len(faults)} faults, workers {places}.",
        "",
        "| figure | |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in found.items()),
        "",
        "## Missed" if wrong else "Every invariant held.",
        "",
        *(f"- {each}" for each in wrong[:MOST_SHOWN]),
        "",
        "## Faults",
        "",
        "| begun s | mended s | what | whom |",
        "|---|---|---|---|",
        *(f"| {f.begun:.1f} | {f.mended:.1f} | {f.what} | {f.whom} |" for f in outcome.faults),
    ]
    text = "\n".join(lines) + "\n"
    (folder / "report.md").write_text(text)
    return text


def _held_up(entry: Entry, faults: list[Fault]) -> bool:
    """Say whether a way was slow, or an API itself was stopped, while somebody waited.

    What is slow is waited for, so that it may fall silent late; who stands still answers nothing.
    """
    return any(
        (fault.what in SLOW or fault.whom.startswith("api"))
        and fault.begun < entry.answered
        and entry.sent < fault.mended
        for fault in faults
    )


def _slowest(entries: Iterable[Entry]) -> float:
    return round(max((entry.seconds for entry in entries), default=0.0), 3)


def _cancels(outcome: Outcome) -> dict[str, int]:
    """Count cancels that were taken, by where their tasks had been seen last."""
    taken = (each for each in outcome.history.of("cancel") if each.result == 200)
    return dict(Counter(str(each.data["point"]) for each in taken))


def _p99(entries: list[Entry]) -> float:
    times = [entry.seconds for entry in entries if entry.result == 202]
    return round(quantiles(times, n=100)[98], 3) if len(times) > 1 else 0.0
