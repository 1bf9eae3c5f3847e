"""Requests per second and CPU time per request of two sides, round by round, and how they compare."""

from collections.abc import Sequence
from statistics import median

from pydantic import BaseModel

WHATS = ("submit", "poll")
LEAST_RATIO = 3.0
"""Of ours to plain, in requests a second."""
_ABOUT = """## One API process against the plain way

`ours`: key, rules, a task with its attempt, wallet and event in one transaction, announced in the background.
`plain`: tests/bench/plain.py; FastAPI, SQLModel and aiokafka as documented; no keys, one row, `send_and_wait`.
Who polls sends the ETag that it was given; `plain` gives none, and always answers with the whole task.
Closed loop over as many connections as keep both servers' cores busy (where there are 16, all of them at times wait
for the database at once); sides in turn; server and generator on a core each. CPU is user and system time of the server's process for each
request.
"""


class Round(BaseModel):
    """One measurement of one side."""

    side: str
    what: str
    number: int
    requests: int
    wrong: int
    examples: list[str]
    per_second: float
    cpu_us: float
    """CPU time of the server's process for each request, in microseconds."""
    p50_ms: float
    p99_ms: float
    server_busy: float
    load_busy: float
    rows_before: int
    """So many tasks were in this side's table when the round began."""


class Throughput(BaseModel):
    """All rounds, and what is left of them where it should be."""

    rounds: list[Round]
    answered: dict[str, int]
    """202s by side, those of the warm-up too."""
    rows: dict[str, int]
    records: dict[str, int]

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        ratios = {what: median(self.ratios(what, "per_second")) for what in WHATS}
        return [
            f"{what}s are {ratio:.2f} times as many as plain ones, not {LEAST_RATIO:g} times"
            for what, ratio in ratios.items()
            if ratio < LEAST_RATIO
        ]

    def ratios(self, what: str, column: str) -> list[float]:
        """Return ours to plain, round by round."""
        pairs = _pairs(self.rounds, what)
        return [getattr(ours, column) / getattr(plain, column) for ours, plain in pairs]

    def text(self) -> str:
        """Return the figures as Markdown."""
        return "\n".join([_ABOUT, _rounds(self.rounds), _ratios(self), _honesty(self)])


def _rounds(rounds: Sequence[Round]) -> str:
    rows = [
        "| what | round | side | requests/s | CPU µs | p50 ms | p99 ms | its core busy | generator busy | tasks before |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for what in WHATS:
        rows += [
            f"| {what} | {each.number} | {each.side} | {each.per_second:.0f} | {each.cpu_us:.0f} "
            f"| {each.p50_ms:.1f} | {each.p99_ms:.1f} | {each.server_busy:.0%} | {each.load_busy:.0%} "
            f"| {each.rows_before} |"
            for each in rounds
            if each.what == what
        ]
    return "\n".join(rows) + "\n"


def _ratios(throughput: Throughput) -> str:
    rows = [
        "| ours ÷ plain | min | median | max | ours, median | plain, median |",
        "|---|---|---|---|---|---|",
    ]
    for what in WHATS:
        pairs = _pairs(throughput.rounds, what)
        for label, column in ((f"{what}s/s", "per_second"), (f"{what}: CPU µs", "cpu_us")):
            both = [(getattr(ours, column), getattr(plain, column)) for ours, plain in pairs]
            ratios = throughput.ratios(what, column)
            rows.append(
                f"| {label} | {min(ratios):.2f} | {median(ratios):.2f} | {max(ratios):.2f} "
                f"| {median(ours for ours, _ in both):.0f} | {median(plain for _, plain in both):.0f} |"
            )
    return "\n".join(rows) + "\n"


def _pairs(rounds: Sequence[Round], what: str) -> list[tuple[Round, Round]]:
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


def percentile(ordered: list[float], share: float) -> float:
    """Return the nearest-rank percentile."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
