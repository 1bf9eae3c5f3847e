"""How tasks are taken and started while there is no broker at all."""

from dataclasses import replace

from pydantic import BaseModel
from tests.bench.dispatch import Dispatch, ready
from tests.bench.place import Place
from tests.bench.processes import free_port

RATE = 10.0
WORKERS = 2
"""One at this rate needs nine tenths of a core for itself, which is a queue of its own."""
MOST_ACCEPTED_MS, MOST_START_MS = 300.0, 5000.0


class Broker(BaseModel):
    """What was measured without Kafka."""

    dispatch: Dispatch

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        found, claimed = [], self.dispatch.steps["claimed"]
        if self.dispatch.wrong:
            found.append(f"{self.dispatch.wrong} submits without Kafka were not answered with 202")
        if self.dispatch.accepted_p99_ms > MOST_ACCEPTED_MS:
            found.append(f"a 202 without Kafka takes {self.dispatch.accepted_p99_ms:.0f} ms (p99)")
        if claimed.max_ms > MOST_START_MS:
            found.append(f"a task without Kafka starts after up to {claimed.max_ms:.0f} ms")
        return found

    def text(self) -> str:
        """Return the figures as Markdown."""
        each, claimed = self.dispatch, self.dispatch.steps["claimed"]
        return f"""
## Without Kafka

Nobody listens where the broker should be; two workers, one relay. {each.rate:g} submits a second for {each.seconds:g} s: {each.answered} answers of 202, {each.wrong} others;
202 after {each.accepted_p50_ms:.0f} ms p50, {each.accepted_p99_ms:.0f} ms p99 (at most {MOST_ACCEPTED_MS:g}); claimed {claimed.p50_ms:.0f} ms p50,
{claimed.max_ms:.0f} ms at most after that (at most {MOST_START_MS:g}). The machine's cores were {each.machine_busy:.0%} busy.
"""


async def measure_broker(place: Place, key: str, seconds: float) -> Broker:
    """Submit to a platform whose broker is not there."""
    alone = replace(place, kafka=f"127.0.0.1:{free_port()}")
    async with ready(alone, key, relay=True, workers=WORKERS) as bench:
        return Broker(dispatch=await bench.at(rate=RATE, seconds=seconds))
