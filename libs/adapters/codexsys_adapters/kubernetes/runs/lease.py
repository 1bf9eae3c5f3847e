"""Says to the cluster again and again that a Job is wanted: it ends by itself when nobody does."""

import asyncio

from codexsys_adapters.kubernetes.cluster import NOT_FOUND, Cluster, Refusal
from codexsys_adapters.kubernetes.runs import job, told
from codexsys_adapters.kubernetes.runs.asked import Asked
from codexsys_adapters.kubernetes.runs.told import FAILED, Ended
from codexsys_core.clock import Clock
from codexsys_core.errors import SandboxError

_OFTEN = 6
"""How often it is renewed in its time."""
_AGAIN_SECONDS = 2.0
TOO_MANY = 429
_MERGE = "application/merge-patch+json"


class Lease:
    """That of one Job."""

    def __init__(self, cluster: Cluster, path: str, asked: Asked, clock: Clock) -> None:
        self._cluster = cluster
        self._path = path
        self._keep = asked.keep
        self._seconds = asked.lost_seconds
        self._clock = clock

    async def held(self) -> Ended:
        """Renew it for as long as the cluster can be reached; return why there is no use in it any more."""
        begun = heard = self._clock.monotonic()
        while True:
            try:
                await self._renew(self._clock.monotonic() - begun)
                heard, pause = self._clock.monotonic(), self._seconds / _OFTEN
            except Refusal as refusal:
                if refusal.status == NOT_FOUND:
                    return told.job_gone(None)
                if refusal.status < 500 and refusal.status != TOO_MANY:
                    raise
                why, pause = refusal.message, _AGAIN_SECONDS
                if self._over(heard):
                    return self._lost(why)
            except SandboxError as error:
                why, pause = error.message, _AGAIN_SECONDS
                if self._over(heard):
                    return self._lost(why)
            await asyncio.sleep(pause)

    async def _renew(self, age: float) -> None:
        if self._keep:
            await self._cluster.call("GET", self._path)
            return
        body = job.lease(int(age) + self._seconds)
        await self._cluster.call("PATCH", self._path, body=body, content=_MERGE)

    def _over(self, heard: float) -> bool:
        return self._clock.monotonic() - heard > self._seconds

    def _lost(self, why: str) -> Ended:
        rest = "" if self._keep else "; it ends the Job by itself when it is there again"
        return Ended(FAILED, f"The cluster did not answer for {self._seconds} s{rest}: {why}")
