"""Services that run together: none waits for another that has ended."""

import asyncio
import os
import signal

import pytest

from codexsys_wiring.service import serve

pytestmark = pytest.mark.asyncio


class Fails:
    """Ends at once, as a server whose address is taken."""

    async def run(self) -> None:
        raise OSError("cannot listen")

    def stop(self) -> None:
        """Nothing is left to stop."""


class Works:
    """Runs until stopped."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        await self.stopped.wait()

    def stop(self) -> None:
        self.stopped.set()


async def never() -> None:
    await asyncio.Event().wait()


async def test_a_service_that_fails_before_the_start_ends_all() -> None:
    works = Works()
    async with asyncio.timeout(10):
        with pytest.raises(OSError, match="cannot listen"):
            await serve(works, Fails(), started=never)
    assert works.stopped.is_set()


async def test_a_signal_before_the_start_ends_all() -> None:
    works = Works()
    async with asyncio.timeout(10):
        serving = asyncio.create_task(serve(works, started=never))
        await asyncio.sleep(0)  # let it listen to signals
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    assert works.stopped.is_set()


async def test_a_start_that_fails_ends_all_and_is_told() -> None:
    works = Works()

    async def broken() -> None:
        raise ValueError("no start")

    with pytest.raises(ValueError, match="no start"):
        await serve(works, started=broken)
    assert works.stopped.is_set()
