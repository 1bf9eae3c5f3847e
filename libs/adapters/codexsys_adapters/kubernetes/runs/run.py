"""A run from its Job to its exit code."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from codexsys_adapters.kubernetes import states
from codexsys_adapters.kubernetes.cluster import NOT_FOUND, Cluster, Refusal
from codexsys_adapters.kubernetes.manifest import LABEL
from codexsys_adapters.kubernetes.pods import Pods
from codexsys_adapters.kubernetes.runs import job, told
from codexsys_adapters.kubernetes.runs.asked import Asked
from codexsys_adapters.kubernetes.runs.carry import Carrier
from codexsys_adapters.kubernetes.runs.lease import Lease
from codexsys_adapters.kubernetes.runs.listen import Listener
from codexsys_adapters.kubernetes.runs.terminal import Terminal
from codexsys_adapters.kubernetes.runs.told import FAILED, Ended
from codexsys_adapters.kubernetes.site import Object, Site
from codexsys_core.clock import Clock
from codexsys_core.errors import PlatformError, SandboxError

_CLEAR_SECONDS = 20.0


class Run:
    """One run; it ends with the Job cleared away, unless that is to be kept."""

    def __init__(
        self, *, cluster: Cluster, namespace: str, asked: Asked, terminal: Terminal, clock: Clock
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._asked = asked
        self._terminal = terminal
        self._id = secrets.token_hex(8)
        self._pods = Pods(cluster, Site(platform=self._id, namespace=namespace, tools=""))
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._path = f"{self._jobs}/{asked.name}"
        self._lease = Lease(cluster, self._path, asked, clock)
        self._carrier = Carrier(cluster, namespace, asked, terminal)
        self._listener = Listener(cluster, namespace, terminal)
        self._maybe_there = self._seen = False

    async def go(self) -> Ended:
        """Run it; return how it ended."""
        try:
            async with self._cleared():
                return await self._go()
        except Refusal as refusal:
            return Ended(FAILED, told.refusal_in_words(refusal, self._asked, self._namespace))
        except PlatformError as error:
            return Ended(FAILED, error.message)

    async def _go(self) -> Ended:
        await self._carrier.pack()
        await self._may_look()
        made = await self._made()
        self._terminal.say(f"Job {self._asked.name} in {self._namespace}")
        ended = await _first(self._lived(), self._lease.held(), self._without_pod(made))
        return told.job_gone(await self._found()) if ended.gone else ended

    async def _may_look(self) -> None:
        """Be refused now, and not when there is a Job that nobody here can follow."""
        query = [("labelSelector", f"{LABEL}platform={self._id}"), ("limit", "1")]
        await self._cluster.call("GET", f"/api/v1/namespaces/{self._namespace}/pods", query=query)

    async def _made(self) -> Object:
        self._maybe_there = True
        body = job.job(self._asked, self._namespace, self._id)
        try:
            return await self._cluster.call("POST", self._jobs, body=body)
        except Refusal:
            self._maybe_there = False
            raise

    async def _lived(self) -> Ended:
        """Follow the pod from its making to the end of its command."""
        if ended := await self._until(lambda pod: pod is not None):
            return ended
        name = await self._pods.until(self._asked.name, _name_of)
        if self._asked.sync:
            if ended := await self._until(lambda pod: states.running(pod, job.IN)):
                return ended
            await self._carrier.carry_in(name)
        if ended := await self._until(told.heard_from):
            return ended
        ended = await self._heard(name)
        if self._asked.sync and not ended.gone:
            await self._carrier.carry_out(name)
        return ended

    async def _heard(self, name: str) -> Ended:
        """Pass the log on until the command's end, and then what is left of it."""
        log = asyncio.create_task(self._listener.listen(name))
        try:
            end = self._pods.until(self._asked.name, told.end_of)
            ended = await _first(end, _broken(log))
            self._listener.over.set()
            await log
        finally:
            log.cancel()
            await asyncio.gather(log, return_exceptions=True)
        return ended

    async def _until(self, judge: Callable[[Object | None], bool]) -> Ended | None:
        """Return when that is so; an end, when it never will be."""
        said: set[str] = set()

        def look(pod: Object | None) -> Ended | bool | None:
            if judge(pod):
                return True
            self._seen = self._seen or pod is not None
            if not self._seen:
                return None
            delay = states.delay_of(pod)
            if delay and delay not in said:
                said.add(delay)
                self._terminal.say(delay)
            return told.end_of(pod) or told.refused(pod)

        try:
            async with asyncio.timeout(self._asked.start_seconds):
                found = await self._pods.until(self._asked.name, look)
        except TimeoutError:
            why = " ".join(said) or self._pods.trouble or "the cluster does not say why"
            return Ended(FAILED, f"It did not start within {self._asked.start_seconds} s: {why}")
        return found if isinstance(found, Ended) else None

    async def _without_pod(self, made: Object) -> Ended:
        """Return why the Job gets no pod, where the cluster says so."""
        path = f"/api/v1/namespaces/{self._namespace}/events"
        query = [("fieldSelector", f"involvedObject.uid={made['metadata']['uid']}")]
        while True:
            with contextlib.suppress(Refusal, SandboxError):  # may not be looked at, or away
                async with self._cluster.lines(path, [*query, ("watch", "true")]) as lines:
                    async for line in lines:
                        if why := told.not_made(told.event_of(line)):
                            return Ended(FAILED, f"The cluster makes no pod of it: {why}")
            await asyncio.sleep(_CLEAR_SECONDS)

    async def _found(self) -> Object | None:
        try:
            return await self._cluster.call("GET", self._path)
        except Refusal as refusal:
            if refusal.status != NOT_FOUND:
                raise
            return None

    @contextlib.asynccontextmanager
    async def _cleared(self) -> AsyncIterator[None]:
        """Clear the Job away at the end, or say how; however it came to its end."""
        try:
            yield
        finally:
            if self._maybe_there:
                await asyncio.shield(asyncio.ensure_future(self._clear()))

    async def _clear(self) -> None:
        own = f"-n {self._namespace} job/{self._asked.name}"
        if self._asked.keep:
            self._terminal.say(f"Its log:  kubectl logs {own} -c {job.MAIN}")
            self._terminal.say(f"To delete it:  kubectl delete {own}")
            return
        try:
            async with asyncio.timeout(_CLEAR_SECONDS):
                await self._delete()
        except (TimeoutError, Refusal, SandboxError) as error:
            self._terminal.say(f"It could not be deleted: {getattr(error, 'message', 'no answer')}")
            self._terminal.say(f"To delete it:  kubectl delete {own}")
        except asyncio.CancelledError:
            self._terminal.say(f"To delete it:  kubectl delete {own}")
            raise

    async def _delete(self) -> None:
        """Delete the Job if it is this run's; return when its pod is gone or may take longer."""
        found = await self._found()
        if found is None or found["metadata"]["labels"].get(LABEL + "platform") != self._id:
            return
        body = {
            "propagationPolicy": "Background",
            "preconditions": {"uid": found["metadata"]["uid"]},
        }
        with contextlib.suppress(TimeoutError):
            await self._cluster.call("DELETE", self._path, body=body)
            async with asyncio.timeout(_CLEAR_SECONDS / 2):
                await self._pods.until(self._asked.name, lambda pod: pod is None or _over(pod))


def _over(pod: Object) -> bool | None:
    """Say that nothing of a pod runs any more; what is left is the cluster's to remove."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or None


def _name_of(pod: Object | None) -> str | None:
    return None if pod is None else str(pod["metadata"]["name"])


async def _broken(task: "asyncio.Task[None]") -> Ended:
    """Return never, but raise what a task raises; the task is left alone."""
    await asyncio.shield(task)
    await asyncio.Event().wait()
    raise AssertionError


async def _first(*works: Awaitable[Ended]) -> Ended:
    """Return the first end that somebody knows of."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
