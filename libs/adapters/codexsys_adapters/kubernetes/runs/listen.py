"""Passes a container's log on as it comes, through connections that break."""

import asyncio
import contextlib

from codexsys_adapters.kubernetes.cluster import NOT_FOUND, Cluster, Refusal
from codexsys_adapters.kubernetes.runs.job import MAIN
from codexsys_adapters.kubernetes.runs.log import Stamped
from codexsys_adapters.kubernetes.runs.terminal import Terminal
from codexsys_core.errors import SandboxError

FORBIDDEN, NO_LOG = 403, 400
_PAUSE_SECONDS = 0.5
_TRIES = 60
"""How often the rest of a log is asked for when its command has ended and it does not come."""


class Listener:
    """Of one run."""

    def __init__(self, cluster: Cluster, namespace: str, terminal: Terminal) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._terminal = terminal
        self.over = asyncio.Event()
        """To be set when the command has ended."""

    async def listen(self, pod: str) -> None:
        """Pass the log on; returns when a connection made after the command's end brought no more.

        While the command runs only the lease knows when there is no use in trying.
        """
        stamped = Stamped()
        tries = 0
        while tries < _TRIES:
            last = self.over.is_set()
            if await self._heard(pod, stamped) and last:
                return
            tries += last
            stamped.reconnected()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pause(last), _PAUSE_SECONDS)
        self._terminal.say("The rest of its log cannot be had.")

    async def _pause(self, last: bool) -> None:
        await (asyncio.sleep(_PAUSE_SECONDS) if last else self.over.wait())

    async def _heard(self, pod: str, stamped: Stamped) -> bool:
        """Pass on what one connection brings; say whether that was all there is by now."""
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/log"
        query = [("container", MAIN), ("follow", "true"), ("timestamps", "true")]
        query += [("sinceTime", stamped.since)] if stamped.since else []
        try:
            async with self._cluster.lines(path, query) as stream:
                async for data in stream.iter_any():
                    if new := stamped.take(data):
                        await self._terminal.write(new)
        except Refusal as refusal:
            if refusal.status == FORBIDDEN:
                raise
            return refusal.status in (NOT_FOUND, NO_LOG)
        except SandboxError:
            return False
        return True
