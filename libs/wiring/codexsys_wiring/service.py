"""Run services until told to stop: the contract every background loop keeps."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import structlog
import uvloop

from codexsys_wiring.metrics import PASSES_FAILED

GRACE_SECONDS = 20.0
T = TypeVar("T")


class Service(Protocol):
    """Something that runs. `stop` is safe before `run` and twice; `run` returns soon after it."""

    async def run(self) -> None:
        """Work until stopped; raising means that the process cannot go on."""

    def stop(self) -> None:
        """Ask `run` to return."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a process's main coroutine; every service runs on the same loop, alone and in `up`."""
    return uvloop.run(main)


async def serve(
    *services: Service,
    started: Callable[[], Awaitable[None]] | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> None:
    """Run all services; end all when one ends, fails, when the start fails, or on SIGTERM or SIGINT.

    A second signal ends the process at once. Whoever does not return within the grace is cancelled.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    # What was loaded and built to begin with stays: looking through it for garbage takes half a second,
    # in which nobody is answered.
    gc.freeze()

    def on_signal() -> None:
        if stopping.is_set():
            raise SystemExit(130)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(
            NotImplementedError, ValueError
        ):  # not the main thread: somebody else listens
            loop.add_signal_handler(number, on_signal)
    running = [
        asyncio.create_task(service.run(), name=type(service).__name__) for service in services
    ]
    ends = [*running, asyncio.create_task(stopping.wait())]
    starting = asyncio.create_task(_said(started))
    # Where a service ends before the start, the start never comes.
    await asyncio.wait([starting, *ends], return_when=asyncio.FIRST_COMPLETED)
    if not _failed(starting):
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for only_waits in (starting, ends[-1]):
        only_waits.cancel()
    for service in services:
        service.stop()
    done, late = await asyncio.wait(running, timeout=grace_seconds)
    for task in late:
        structlog.get_logger().warning("service did not stop in time", service=task.get_name())
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in (starting, *done):
        if _failed(task):
            task.result()


async def _said(started: Callable[[], Awaitable[None]] | None) -> None:
    if started is not None:
        await started()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


class Repeat:
    """Calls one step again and again: a loop with one duty."""

    def __init__(self, step: Callable[[], Awaitable[object]], *, seconds: float, name: str) -> None:
        self._step = step
        self._seconds = seconds
        self._name = name
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Step, then pause. An error of a step is logged and does not end the loop."""
        log = structlog.get_logger().bind(loop=self._name)
        while not self._stopping.is_set():
            try:
                await self._step()
            except Exception as error:
                PASSES_FAILED.labels(self._name).inc()
                log.warning("pass failed", error=str(error), kind=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._seconds)

    def stop(self) -> None:
        """Let the step under way finish, then return."""
        self._stopping.set()
