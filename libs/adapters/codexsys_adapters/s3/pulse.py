"""Whether a server that takes long for an answer is there at all."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3
from urllib3.exceptions import TimeoutError as SilentError

from codexsys_adapters.s3.clients import S3Address

ANSWER_SHARE = 2 / 3
"""Of the longest silence; before it there is a pause of the other third."""


class Pulse:
    """Asks for nothing, beside what is under way: any answer says that the server lives.

    The driver's own time for an answer must leave room for large objects on slow disks, and is too
    long for somebody who waits at a page. All who wait share one question, and silence is what counts:
    as long as the server answers anybody of this process, a late answer is nobody's end.
    """

    def __init__(self, address: S3Address, silence_seconds: float) -> None:
        self._url = f"{'https' if address.tls else 'http'}://{address.host}/"
        self._pause = silence_seconds / 3
        self._http = urllib3.PoolManager(
            maxsize=1, timeout=silence_seconds * ANSWER_SHARE, retries=False
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="s3-pulse")
        self._asking: asyncio.Future[None] | None = None
        self._answers = self._heard = 0
        """What was said to anybody, and how much of it before the question under way."""

    async def felt_until(self, asked: "asyncio.Future[Any]") -> None:
        """Return once it is done; raises what the driver raises when the server is silent meanwhile."""
        pause = self._pause
        while not (await asyncio.wait([asked], timeout=pause))[0]:
            asking = self._question()
            await asyncio.wait([asked, asking], return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                break
            error = asking.exception()
            if error is not None and not self._others_heard(error):
                raise error
            pause = self._pause if error is None else 0.0
        if not asked.cancelled() and asked.exception() is None:
            self._answers += 1

    def close(self) -> None:
        """Ask no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._http.clear()

    def _question(self) -> "asyncio.Future[None]":
        if self._asking is None or self._asking.done():
            self._heard = self._answers
            loop = asyncio.get_running_loop()
            self._asking = loop.run_in_executor(self._thread, self._feel)
            self._asking.add_done_callback(_forgotten)
        return self._asking

    def _others_heard(self, error: BaseException) -> bool:
        return isinstance(error, SilentError) and self._answers > self._heard

    def _feel(self) -> None:
        self._http.request("HEAD", self._url, redirect=False)


def _forgotten(asking: "asyncio.Future[None]") -> None:
    """Take note of an end that nobody waits for."""
    if not asking.cancelled():
        asking.exception()
