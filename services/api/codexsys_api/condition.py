"""How the parts of the platform are: since when one is away, what that means, and what helps."""

from datetime import datetime
from typing import NamedTuple

from codexsys_wiring.health import troubles
from codexsys_wiring.platform import Platform

LOOK_SECONDS = 10.0
"""So often each part is asked though nobody looks: then it is known since when one is away."""


class Absence(NamedTuple):
    """What it means that a part is away, and what helps."""

    name: str
    meanwhile: str
    remedy: str


ABSENCES = {
    "database": Absence(
        "Database",
        "Requests are refused with 503. Sandboxes go on and workers wait for it, so no work is lost.",
        "Start it, and make room if its disk is full. Where it has moved: set CODEXSYS_DATABASE_URL and restart the services.",
    ),
    "queue": Absence(
        "Queue",
        "Tasks are taken and worked on as ever: a relay finds them in the database. Results are announced once it is back.",
        "Start Kafka, and make room if its disk is full; it may start empty. Where it has moved: set CODEXSYS_QUEUE_URL and restart the services.",
    ),
    "redis": Absence(
        "Redis",
        "Tasks are taken, but no worker begins one; what runs goes on. Pages look again once a second.",
        "Start it; it may start empty. Where it has moved: set CODEXSYS_REDIS_URL and restart the services.",
    ),
    "store": Absence(
        "Object store",
        "Zips are refused, and files cannot be read. Tasks that end wait for it, for CODEXSYS_STORE_PATIENCE_SECONDS.",
        "Start it, and make room if its disk is full. Where it or its key has changed: set CODEXSYS_STORE_URL, CODEXSYS_STORE_KEY and CODEXSYS_STORE_SECRET and restart the services.",
    ),
}


class PartShown(NamedTuple):
    """One part; without a problem it answers."""

    name: str
    problem: str
    since: datetime | None
    meanwhile: str
    remedy: str


class Condition:
    """Remembers since when a part is away, as this process has seen it."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._since: dict[str, datetime] = {}

    async def look(self) -> tuple[bool, list[PartShown]]:
        """Ask every part; say whether requests can be served at all, and how each is."""
        ready, problems = await troubles(self._platform)
        now = self._platform.clock.now()
        self._since = {part: self._since.get(part, now) for part in problems}
        return ready, [
            PartShown(
                each.name,
                problems.get(part, ""),
                self._since.get(part),
                each.meanwhile,
                each.remedy,
            )
            for part, each in ABSENCES.items()
        ]
