"""All pods of one platform as the cluster tells of them: listed once, then watched."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

from codexsys_adapters.kubernetes.cluster import GONE, Cluster, Refusal
from codexsys_adapters.kubernetes.manifest import LABEL
from codexsys_adapters.kubernetes.site import Object, Site
from codexsys_core.errors import SandboxError

_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0
_WATCH_SECONDS = 60
_SILENT_SECONDS = 75.0
"""Longer than a watch lasts: its connection is dead."""
_LIST_SECONDS = 60.0

T = TypeVar("T")


class Pods:
    """Watches from the first question on, for as long as the event loop runs; all share what is there."""

    def __init__(self, cluster: Cluster, site: Site) -> None:
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{site.namespace}/pods"
        self._selector = ("labelSelector", f"{LABEL}platform={site.platform}")
        self._known: dict[str, Object] = {}
        self._version = ""
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self.trouble = ""
        """Why the list is not what it could be, if it is not."""

    async def until(self, sandbox_id: str, judge: Callable[[Object | None], T | None]) -> T:
        """Return what somebody makes of a sandbox's pod, as soon as it is something."""
        self._begin()
        async with self._news:
            while True:
                found = judge(self._known.get(sandbox_id)) if self._version else None
                if found is not None:
                    return found
                await self._news.wait()

    async def within(
        self, seconds: float, sandbox_id: str, judge: Callable[[Object | None], T | None]
    ) -> T | None:
        """Return the same, None when there is nothing to be made of it in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self.until(sandbox_id, judge)
        return None

    async def now(self, sandbox_id: str) -> Object | None:
        """Return a sandbox's pod as it is, None when there is none."""
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                found = await self.until(sandbox_id, lambda pod: (pod,))
        except TimeoutError:
            raise SandboxError(f"The cluster does not list its pods: {self.trouble}") from None
        return found[0]

    def _begin(self) -> None:
        """Start to watch; the event loop may be another than the last one, which ended our task."""
        if self._task is None or self._task.done():
            self._version, self._news = "", asyncio.Condition()
            self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        pause = _PAUSE_SECONDS
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow()
                pause = _PAUSE_SECONDS
            except Refusal as refusal:
                self.trouble = refusal.message
                if refusal.status == GONE:  # we were away for too long
                    self._version = ""
            except SandboxError as error:
                self.trouble = error.message
            except ValueError:  # cut off in the middle of a line
                self.trouble = "the cluster's list of pods breaks off"
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _list(self) -> None:
        listed = await self._cluster.call("GET", self._path, query=[self._selector])
        async with self._news:
            self._known = {_sandbox_of(pod): pod for pod in listed["items"]}
            self._version = listed["metadata"]["resourceVersion"]
            self.trouble = ""
            self._news.notify_all()

    async def _follow(self) -> None:
        """Take changes until the server ends this; goes on from the last of them."""
        query = [
            self._selector,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(_WATCH_SECONDS)),
        ]
        async with self._cluster.lines(self._path, query, silent=_SILENT_SECONDS) as lines:
            async for line in lines:
                await self._take(json.loads(line))

    async def _take(self, event: dict[str, Any]) -> None:
        kind, pod = event["type"], event["object"]
        if kind == "ERROR":
            raise Refusal(int(pod.get("code", 0)), str(pod.get("message", "")))
        async with self._news:
            self._version = pod["metadata"]["resourceVersion"]
            if kind == "DELETED":
                self._known.pop(_sandbox_of(pod), None)
            elif kind != "BOOKMARK":
                self._known[_sandbox_of(pod)] = pod
            self._news.notify_all()


def _sandbox_of(pod: Object) -> str:
    return str(pod["metadata"]["labels"][LABEL + "sandbox"])
