"""Whether a server that takes long for an answer is there at all."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from codexsys_adapters.s3.clients import S3Address

THREADS = 4


class Pulse:
    """Asks for nothing, beside what is under way: any answer says that the server lives.

    The driver's own time for an answer must leave room for large objects on slow disks, and is too
    long for somebody who waits at a page.
    """

    def __init__(self, address: S3Address, silence_seconds: float) -> None:
        self._url = f"{'https' if address.tls else 'http'}://{address.host}/"
        self._pause = silence_seconds / 3
        self._http = urllib3.PoolManager(
            maxsize=THREADS, timeout=silence_seconds * 2 / 3, retries=False
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3-pulse")

    async def felt_until(self, asked: "asyncio.Future[Any]") -> None:
        """Return once it is done; raises what the driver raises when the server is silent meanwhile."""
        loop = asyncio.get_running_loop()
        while not (await asyncio.wait([asked], timeout=self._pause))[0]:
            asking = loop.run_in_executor(self._threads, self._feel)
            await asyncio.wait([asked, asking], return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                asking.add_done_callback(_forgotten)
            else:
                await asking

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.clear()

    def _feel(self) -> None:
        self._http.request("HEAD", self._url, redirect=False)


def _forgotten(asking: "asyncio.Future[None]") -> None:
    """Take note of an end that nobody waits for."""
    if not asking.cancelled():
        asking.exception()
