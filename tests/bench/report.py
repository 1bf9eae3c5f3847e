"""The figures as a person reads them."""

import os
import platform
from typing import Protocol

from pydantic import BaseModel
from tests.bench.adoption import Adoption
from tests.bench.agent import AgentFigures
from tests.bench.beats import Beats
from tests.bench.broker import Broker
from tests.bench.cancel import Cancel
from tests.bench.dispatch import STEPS, Dispatch
from tests.bench.fair import Fair
from tests.bench.gateway import GatewayFigures
from tests.bench.rounds import Throughput
from tests.bench.sandbox import SandboxFigures
from tests.bench.uploads import Uploads
from tests.bench.watchers import Watchers


class Judged(Protocol):
    """Figures that have to be as they were promised."""

    @property
    def missed(self) -> list[str]:
        """Return what is not."""

    def text(self) -> str:
        """Return the figures as Markdown."""


class Report(BaseModel):
    """All that one run measured."""

    throughput: Throughput
    dispatch: list[Dispatch]
    sandboxes: SandboxFigures
    agents: AgentFigures
    fair: Fair
    cancel: Cancel
    beats: Beats
    broker: Broker
    adoption: Adoption
    uploads: Uploads
    watchers: Watchers
    gateway: GatewayFigures

    def text(self) -> str:
        """Return the report as Markdown."""
        judged = [each.text() for each in self.judged]
        return "\n".join([_head(), _dispatch(self.dispatch), *judged])

    @property
    def judged(self) -> list[Judged]:
        """Return what has to be as it was promised."""
        return [
            self.throughput,
            self.sandboxes,
            self.agents,
            self.fair,
            self.cancel,
            self.beats,
            self.broker,
            self.adoption,
            self.uploads,
            self.watchers,
            self.gateway,
        ]


def _head() -> str:
    return f"""# Benchmark

{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; load average at the end {os.getloadavg()[0]:.1f}.
Real MariaDB, Redis, Kafka and S3 store. Absolute figures wander with whatever else the machine does: ratios of one run count.
"""


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
