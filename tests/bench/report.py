"""The figures as a person reads them."""

import os
import platform
from collections.abc import Iterable
from statistics import median
from typing import Protocol

from pydantic import BaseModel
from tests.bench.adoption import Adoption
from tests.bench.beats import Beats
from tests.bench.broker import Broker
from tests.bench.cancel import Cancel
from tests.bench.dispatch import STEPS, Dispatch
from tests.bench.fair import Fair
from tests.bench.sandbox import SandboxFigures
from tests.bench.throughput import Round, Throughput
from tests.bench.uploads import Uploads
from tests.bench.watchers import Watchers

WHATS = ("submit", "poll")


class Judged(Protocol):
    """Figures that have to be as they were promised."""

    @property
    def missed(self) -> list[str]:
        """Return what is not."""

    def text(self) -> str:
        """Return the figures as Markdown."""


class Report(BaseModel):
    """All that one run measured."""

    connections: int
    seconds: float
    throughput: Throughput
    dispatch: list[Dispatch]
    sandboxes: SandboxFigures
    fair: Fair
    cancel: Cancel
    beats: Beats
    broker: Broker
    adoption: Adoption
    uploads: Uploads
    watchers: Watchers

    def text(self) -> str:
        """Return the report as Markdown."""
        parts = [_head(self), _rounds(self), _ratios(self.throughput), _honesty(self.throughput)]
        judged = [each.text() for each in self.judged]
        return "\n".join([*parts, _dispatch(self.dispatch), *judged])

    @property
    def judged(self) -> list[Judged]:
        """Return what has to be as it was promised."""
        return [
            self.sandboxes,
            self.fair,
            self.cancel,
            self.beats,
            self.broker,
            self.adoption,
            self.uploads,
            self.watchers,
        ]


def _head(report: Report) -> str:
    return f"""# Benchmark

{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; load average at the end {os.getloadavg()[0]:.1f}.
Real MariaDB, Redis, Kafka and S3 store. Absolute figures wander with whatever else the machine does: ratios of one run count.

## One API process against the plain way

`ours`: key, rules, a task with its attempt, wallet and event in one transaction, announced in the background.
`plain`: tests/bench/plain.py; FastAPI, SQLModel and aiokafka as documented; no keys, one row, `send_and_wait`.
Who polls sends the ETag that it was given; `plain` gives none, and always answers with the whole task.
Closed loop, {report.connections} connections, {report.seconds:g} s a measurement, sides in turn; server and generator on a core each.
CPU is user and system time of the server's process for each request.
"""


def _rounds(report: Report) -> str:
    rows = [
        "| what | round | side | requests/s | CPU µs | p50 ms | p99 ms | its core busy | generator busy | tasks before |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for what in WHATS:
        rows += [
            f"| {what} | {each.number} | {each.side} | {each.per_second:.0f} | {each.cpu_us:.0f} "
            f"| {each.p50_ms:.1f} | {each.p99_ms:.1f} | {each.server_busy:.0%} | {each.load_busy:.0%} "
            f"| {each.rows_before} |"
            for each in report.throughput.rounds
            if each.what == what
        ]
    return "\n".join(rows) + "\n"


def _ratios(throughput: Throughput) -> str:
    rows = [
        "| ours ÷ plain | min | median | max | ours, median | plain, median |",
        "|---|---|---|---|---|---|",
    ]
    for what in WHATS:
        pairs = list(_pairs(throughput.rounds, what))
        for label, column in ((f"{what}s/s", "per_second"), (f"{what}: CPU µs", "cpu_us")):
            both = [(getattr(ours, column), getattr(plain, column)) for ours, plain in pairs]
            ratios = [ours / plain for ours, plain in both]
            rows.append(
                f"| {label} | {min(ratios):.2f} | {median(ratios):.2f} | {max(ratios):.2f} "
                f"| {median(ours for ours, _ in both):.0f} | {median(plain for _, plain in both):.0f} |"
            )
    return "\n".join(rows) + "\n"


def _pairs(rounds: Iterable[Round], what: str) -> Iterable[tuple[Round, Round]]:
    found = {(each.side, each.number): each for each in rounds if each.what == what}
    numbers = sorted({number for _, number in found})
    return [(found["ours", number], found["plain", number]) for number in numbers]


def _honesty(throughput: Throughput) -> str:
    wrong = sum(each.wrong for each in throughput.rounds)
    counted = [
        f"{name}: {throughput.answered[name]} answers of 202, {throughput.rows[name]} rows, "
        f"{throughput.records[name]} records"
        for name in throughput.answered
    ]
    return f"Side effects: {'; '.join(counted)}. Wrong answers: {wrong}.\n"


def _dispatch(measured: list[Dispatch]) -> str:
    steps = "\n".join(f"- {name}: {meaning}." for name, meaning in STEPS.items())
    rows = [
        "| submits/s | tasks | 202 p50/p99 ms | step | p50 ms | p99 ms | max ms |",
        "|---|---|---|---|---|---|---|",
    ]
    notes = []
    for each in measured:
        rows += [
            f"| {each.rate:g} | {spread.count} of {each.answered} | {each.accepted_p50_ms:.0f}/{each.accepted_p99_ms:.0f} "
            f"| {step} | {spread.p50_ms:.0f} | {spread.p99_ms:.0f} | {spread.max_ms:.0f} |"
            for step, spread in each.steps.items()
        ]
        ended = ", ".join(f"{count} {how}" for how, count in each.ended.items())
        notes.append(
            f"- {each.rate:g}/s for {each.seconds:g} s: {ended}; all over after {each.all_over_seconds:.0f} s; "
            f"the worker's own process used {each.worker_cpu_ms:.0f} ms CPU a task; "
            f"the machine's cores were {each.machine_busy:.0%} busy; wrong answers: {each.wrong}."
        )
    return "\n".join(
        [
            "## From the 202 to a `dummy` sandbox that is entered",
            "",
            "One API, one worker with a slot for each task; mode `explain`, Git over loopback HTTP (21 objects).",
            "Open loop; milliseconds from the moment at which the client has read the 202 to:",
            "",
            steps,
            "",
            *rows,
            "",
            *notes,
            "",
        ]
    )
