"""What a worker knows about the attempt that it is seeing through."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from codexsys_core.attempt import Claim, Hold
from codexsys_core.source import Base
from codexsys_core.task import Task, TaskSpec

Answer = TypeVar("Answer")


class Lost(Exception):
    """The attempt is no longer ours: stop acting, leave its sandboxes alone."""


class Cancelled(Exception):
    """Somebody cancelled the task."""


@dataclass
class Work:
    """One claimed attempt. `folder` is the worker's own, removed when the work is over."""

    task: Task
    hold: Hold
    folder: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the work must end at once; `lost` and `cancelled` say why."""
    lost: bool = False
    cancelled: bool = False
    earlier_patch: bytes = b""
    """A checkpoint's or an earlier task's change, applied once the network is closed."""
    engine_state: bytes = b""
    answers: list[dict[str, Any]] = field(default_factory=list)
    """What was asked and answered so far, in order."""

    @classmethod
    def of(cls, claim: Claim, folder: Path) -> "Work":
        """Start from a claim."""
        return cls(task=claim.task, hold=claim.hold, folder=folder)

    @property
    def spec(self) -> TaskSpec:
        """Return what was asked for."""
        return self.task.spec

    @property
    def base_dir(self) -> Path:
        """Return where the base's bare git directory is unpacked."""
        return self.folder / "base.git"

    def tell_lost(self) -> None:
        """Somebody else owns the attempt now."""
        self.lost = True
        self.stop.set()

    def tell_cancelled(self) -> None:
        """The task is to be cancelled."""
        self.cancelled = True
        self.stop.set()

    def check(self) -> None:
        """Raise when the work must end."""
        if self.lost:
            raise Lost
        if self.cancelled:
            raise Cancelled

    async def unless_stopped(self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        """Return what is asked for; gives it up, and raises, once the work must end."""
        asking = asyncio.ensure_future(asked)
        stopping = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait([asking, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                self.check()
            return await asking
        finally:
            asking.cancel()
            stopping.cancel()
            await asyncio.gather(asking, stopping, return_exceptions=True)


@dataclass(frozen=True)
class Prepared:
    """The base, found and stored."""

    base: Base
    has_setup: bool
    """Whether the base has a `setup.sh` of its own."""
