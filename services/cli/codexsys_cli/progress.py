"""Follow a task: one line that lives on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from rich.console import Console
from rich.text import Text

from codexsys_client import Client, ClientError, Event, Patience, Task
from codexsys_client.streams import PATIENCE_SECONDS
from codexsys_client.types import TERMINAL

if TYPE_CHECKING:
    from rich.status import Status

WAIT_SECONDS = 1
T = TypeVar("T")


@dataclass
class Seen:
    """What was seen of a task's events."""

    steps: int = 0
    last: int = 0
    notes: list[str] = field(default_factory=list)

    def take(self, events: list[Event]) -> None:
        """Count steps and keep what is worth a line."""
        for event in events:
            self.last = event["id"]
            self.steps += event["type"] == "agent.step"
            note = _note(event)
            if note:
                self.notes.append(note)


class Progress:
    """Shows phase, elapsed time, steps and tokens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._status: Status | None = None
        self._phase = ""

    def __enter__(self) -> Self:
        """Start the line that lives."""
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it."""
        if self._status is not None:
            self._status.stop()

    def show(self, task: Task, seen: Seen) -> None:
        """Show where the task is now."""
        for note in seen.notes:
            self._line(f"    {note}")
        seen.notes.clear()
        phase = task["status"] if task["phase"] is None else f"{task['status']}: {task['phase']}"
        if phase != self._phase:
            self._phase = phase
            self._line(_state(phase, task, seen, self._elapsed()))
        if self._status is not None:
            self._status.update(Text(_state(phase, task, seen, self._elapsed())))

    def _line(self, text: str) -> None:
        self._console.print(Text(text))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


def follow(
    client: Client,
    task_id: str,
    console: Console,
    *,
    timeout_seconds: float | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    told: Callable[[list[Event]], None] = lambda _: None,
) -> Task:
    """Show a task until it is over and return it; raises `TimeoutError`. `told` hears of every event, in order."""
    seen = Seen()
    end = time.monotonic() + timeout_seconds if timeout_seconds else None
    with Progress(console) as progress:
        for task in _states(client, task_id, patience_seconds):
            for events in _pages(client, task_id, seen, patience_seconds):
                seen.take(events)
                told(events)
            progress.show(task, seen)
            if task["status"] in TERMINAL:
                return task
            if end is not None and time.monotonic() > end:
                raise TimeoutError
    raise AssertionError("a task's states do not end before the task does")


def _states(client: Client, task_id: str, patience_seconds: float) -> Iterator[Task]:
    yield client.task(task_id)
    while True:
        yield _patient(lambda: client.task(task_id, wait_seconds=WAIT_SECONDS), patience_seconds)


def _pages(
    client: Client, task_id: str, seen: Seen, patience_seconds: float
) -> Iterator[list[Event]]:
    """Yield what has happened since; `seen` goes on between the pages."""
    while page := _patient(lambda: client.events_now(task_id, after=seen.last), patience_seconds):
        yield page


def _patient(call: Callable[[], T], seconds: float) -> T:
    """Ask until there is an answer: a platform that restarts is away for a moment."""
    patience = Patience(seconds)
    while True:
        try:
            return call()
        except ClientError as error:
            time.sleep(patience.pause(error))


def _state(phase: str, task: Task, seen: Seen, elapsed: float) -> str:
    usage = task["usage"]
    tokens = usage["input_tokens"] + usage["output_tokens"]
    return f"{elapsed:6.1f}s  {phase}  ({seen.steps} steps, {tokens:,} tokens)"


def _note(event: Event) -> str:
    data = event["data"]
    if event["type"] == "task.phase":
        return f"-- {data.get('phase', '')}"
    if event["type"] == "agent.tool":
        told = str(data.get("summary") or data.get("command") or data.get("path") or "")
        return f"{data.get('tool', data.get('name', 'tool'))}: {told}".strip()[:160]
    if event["type"] == "task.attempt_ended":
        pause = float(data.get("delay_seconds") or 0)
        return f"attempt ended: {data.get('end_reason', '')}; the next one begins in {pause:.0f} s"
    return ""


@contextmanager
def quiet_interrupt(console: Console, task_id: str) -> Iterator[None]:
    """Say on Ctrl-C that the task goes on without us."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(Text(f"{task_id} goes on; codexsys watch {task_id} shows it again."))
        raise
