"""The worker's side of sandboxes that are Jobs."""

import asyncio
import base64
import contextlib
import fnmatch
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from codexsys_adapters.kubernetes import manifest, states
from codexsys_adapters.kubernetes.cluster import (
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    Away,
    Cluster,
    Exec,
    Refusal,
)
from codexsys_adapters.kubernetes.follow import Follower
from codexsys_adapters.kubernetes.manifest import LABEL, Wanted, name_of
from codexsys_adapters.kubernetes.patience import Patience
from codexsys_adapters.kubernetes.pods import Pods
from codexsys_adapters.kubernetes.site import Object, Site
from codexsys_adapters.walls.program import run_ours
from codexsys_core.clock import Clock, SystemClock
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import (
    Created,
    PhaseEnd,
    PhaseSpec,
    Progress,
    SandboxSpec,
    image_line,
    silent,
)

_OUTPUT_WAIT_SECONDS = 1.0
_GONE_SECONDS = 60.0
_LOOK_SECONDS = 5.0
"""How long there may be no pod until somebody asks why."""
_FIRST_USER, _USERS = 100_000, 1_000_000_000
_MERGE = "application/merge-patch+json"

T = TypeVar("T")


class KubernetesBackend:
    """Sandboxes of one namespace; any worker of the platform in the cluster reaches all of them."""

    def __init__(
        self,
        cluster: Cluster,
        site: Site,
        *,
        image: str,
        allowed: Sequence[str] = ("*",),
        clock: Clock | None = None,
    ) -> None:
        self._cluster = cluster
        self._site = site
        self._image = image
        self._allowed_images = allowed
        self._clock = clock or SystemClock()
        self._pods = Pods(cluster, site)
        self._patiently = Patience(self._clock)
        self._followers: dict[tuple[str, str], Follower] = {}
        self._naming: dict[str, asyncio.Task[None]] = {}
        self._jobs = f"/apis/batch/v1/namespaces/{site.namespace}/jobs"
        named = hashlib.sha256(f"{site.namespace} {site.platform}".encode()).hexdigest()
        self._place = f"kubernetes-{named[:32]}"

    @property
    def place(self) -> str:
        """Return a name of the platform's sandboxes in the cluster: every worker there reaches them."""
        return self._place

    @property
    def unenforced(self) -> tuple[str, ...]:
        """Return what a pod without a disk of its own is not held to: it is evicted for that, but later."""
        return () if self._site.storage_class else ("disk_mb", "inodes")

    async def create(
        self, spec: SandboxSpec, base: Path | None, *, progress: Progress = silent
    ) -> Created:
        """Make the Job, and hand its keeper the base once it runs."""
        if base is None:
            await self._must_live(spec.id)
            return Created()
        wanted = self._wanted(spec)
        packed = await asyncio.to_thread(_packed, base)
        await self._make(wanted)
        await self._settled(spec.id, "keeper", progress)
        laying = self._refused(self._patiently(lambda: self._lay_base(spec.id, packed)))
        await self._unless_refused(spec.id, laying)
        # The cluster says so a second after the container is there, when its first phase may be over.
        self._naming[spec.id] = asyncio.create_task(self._name_image(spec.id, progress))
        return Created()

    async def keep(self, sandbox_id: str, layer: str) -> None:  # noqa: ARG002 - nothing is kept here
        """Keep nothing: a pod's files go with it."""
        await self._must_live(sandbox_id)

    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        """Have the keeper start a phase; returns when its program runs, or cannot."""
        found = self._followers.get((sandbox_id, phase.name))
        if found is None or found.unknown:
            await self._must_live(sandbox_id)
            told = phase.model_dump(mode="json", exclude={"files"})
            files = {name: base64.b64encode(data).decode() for name, data in phase.files.items()}
            begin = {"do": "start", "phase": told, "files": files}
            found = self._follow(sandbox_id, phase.name, begin=json.dumps(begin).encode())
        await found.started.wait()

    async def wait(self, sandbox_id: str, phase: str) -> PhaseEnd:
        """Return how the phase ended, as its keeper says it, or its pod's end."""
        follower = await self._followed(sandbox_id, phase)
        await follower.ended.wait()
        if follower.unknown:
            raise SandboxError(f"phase {phase} was not started", code="sandbox_lost")
        return PhaseEnd.model_validate(follower.end)

    async def output(
        self, sandbox_id: str, phase: str, offset: int, *, limit: int = 65_536
    ) -> bytes:
        """Return captured output; waits up to a second for more while the phase runs."""
        follower = await self._followed(sandbox_id, phase)
        return await follower.output(offset, limit, _OUTPUT_WAIT_SECONDS)

    async def signal(self, sandbox_id: str, *, kill: bool = False) -> None:
        """Stop or kill the running phase."""
        await self._must_live(sandbox_id)
        await self._refused(self._patiently(lambda: self._order(sandbox_id, kill=kill)))

    async def list(self) -> list[str]:
        """Return the ids of all sandboxes that have a Job."""
        query = [("labelSelector", f"{LABEL}platform={self._site.platform}")]
        listed = await self._refused(self._call("GET", self._jobs, query=query))
        return sorted(job["metadata"]["labels"][LABEL + "sandbox"] for job in listed["items"])

    async def destroy(self, sandbox_id: str) -> None:
        """Delete the Job; return when the cluster has no pod of it any more."""
        await self._refused(self._delete(sandbox_id))
        await self._pods.within(_GONE_SECONDS, sandbox_id, lambda pod: pod is None or None)
        for key in [key for key in self._followers if key[0] == sandbox_id]:
            await self._followers.pop(key).close()
        if naming := self._naming.pop(sandbox_id, None):
            naming.cancel()

    async def _make(self, wanted: Wanted) -> None:
        spec = wanted.spec
        try:
            job = await self._call("POST", self._jobs, body=manifest.job(self._site, wanted))
        except Refusal as refusal:
            if refusal.status != CONFLICT:
                raise _refused(refusal) from refusal
            job = await self._refused(self._call("GET", self._path_of(spec.id)))
        if job["metadata"].get("deletionTimestamp"):
            raise SandboxError(f"sandbox {spec.id} is being removed", code="sandbox_lost")
        if job["spec"].get("suspend"):
            await self._refused(self._release(spec, job))

    async def _release(self, spec: SandboxSpec, job: Object) -> None:
        """Lay down the token, which goes with the Job, and let the Job begin."""
        secrets = f"/api/v1/namespaces/{self._site.namespace}/secrets"
        body = manifest.secret(self._site, spec, job["metadata"]["uid"])
        with _unless(CONFLICT):
            await self._call("POST", secrets, body=body)
        begin = {"spec": {"suspend": False}}
        await self._call("PATCH", self._path_of(spec.id), body=begin, content=_MERGE)

    async def _settled(self, sandbox_id: str, container: str, progress: Progress) -> None:
        """Return when a container runs; SandboxError when it never will."""
        told: set[str] = set()

        def tell(why: str | None) -> None:
            if why and why not in told:
                told.add(why)
                progress(why)

        def look(pod: Object | None) -> SandboxError | bool | None:
            tell(states.delay_of(pod))
            return states.refusal_of(pod) or states.running(pod, container) or None

        until = self._clock.monotonic() + self._site.start_seconds
        while (found := await self._pods.within(_LOOK_SECONDS, sandbox_id, look)) is None:
            if self._clock.monotonic() >= until:
                why = " ".join(told) or self._pods.trouble or "the cluster does not say why"
                raise SandboxError(f"The pod does not start: {why}", code="sandbox_failed")
            if await self._pods.now(sandbox_id) is None:
                tell(await self._complaint(sandbox_id))
        if isinstance(found, SandboxError):
            raise found

    async def _name_image(self, sandbox_id: str, progress: Progress) -> None:
        """Say what the pod stands on, once the cluster does."""
        found = await self._pods.until(
            sandbox_id, lambda pod: states.image_of(pod, "workspace") or states.end_of(pod)
        )
        if isinstance(found, str):
            progress(image_line(found))

    async def _complaint(self, sandbox_id: str) -> str | None:
        """Return why the cluster makes no pod of the Job yet; SandboxError when it never will."""
        about = f"involvedObject.name={name_of(sandbox_id)},reason=FailedCreate"
        events = f"/api/v1/namespaces/{self._site.namespace}/events"
        with _unless(FORBIDDEN):
            listed = await self._call("GET", events, query=[("fieldSelector", about)])
            said = [str(event.get("message", "")) for event in listed["items"]]
            lasting = [words for words in said if "exceeded quota" not in words]
            if lasting:
                raise SandboxError(
                    f"The cluster makes no pod: {lasting[-1]}", code="sandbox_failed"
                )
            return f"waiting for room in the namespace: {said[-1]}" if said else None
        return None

    async def _unless_refused(self, sandbox_id: str, work: Coroutine[Any, Any, None]) -> None:
        """Do some work, and give up when the pod can never start."""
        doing = asyncio.create_task(work)
        refused = asyncio.create_task(self._pods.until(sandbox_id, states.refusal_of))
        try:
            await asyncio.wait([doing, refused], return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise refused.result()
            await doing
        finally:
            for task in (doing, refused):
                task.cancel()
            await asyncio.gather(doing, refused, return_exceptions=True)

    async def _lay_base(self, sandbox_id: str, packed: bytes) -> None:
        """Hand the base to the keeper; returns when the first stage is there."""
        async with self._ask(sandbox_id) as line:
            await line.send(b'{"do": "base"}\n')
            async for word in line.lines():
                if word == b"send":
                    await line.send(f"{len(packed)}\n".encode() + packed)
                elif word == b"done":
                    return
            raise Away(f"the keeper did not take the base: {line.noise}")

    async def _order(self, sandbox_id: str, *, kill: bool) -> None:
        async with self._ask(sandbox_id) as line:
            await line.send(json.dumps({"do": "signal", "kill": kill}).encode() + b"\n")
            async for _ in line.lines():
                return
        raise Away("the keeper said nothing")

    @contextlib.asynccontextmanager
    async def _ask(self, sandbox_id: str) -> AsyncIterator[Exec]:
        pod = await self._pods.now(sandbox_id)
        if pod is None:
            raise _lost(sandbox_id)
        name = pod["metadata"]["name"]
        command = run_ours("kubernetes.inside.tell")
        async with self._cluster.exec(self._site.namespace, name, "keeper", command) as line:
            yield line

    async def _must_live(self, sandbox_id: str) -> None:
        if states.end_of(await self._pods.now(sandbox_id)) is not None:
            raise _lost(sandbox_id)

    async def _followed(self, sandbox_id: str, phase: str) -> Follower:
        """Return who follows a phase; one that nobody here started may have been another's."""
        if (sandbox_id, phase) not in self._followers:
            await self._must_live(sandbox_id)
        return self._follow(sandbox_id, phase)

    def _follow(self, sandbox_id: str, phase: str, *, begin: bytes | None = None) -> Follower:
        key = (sandbox_id, phase)
        found = self._followers.get(key)
        if found is None or found.unknown:
            found = self._followers[key] = Follower(
                sandbox_id=sandbox_id,
                phase=phase,
                begin=begin,
                ask=self._ask,
                pods=self._pods,
                clock=self._clock,
            )
        return found

    async def _delete(self, sandbox_id: str) -> None:
        with _unless(NOT_FOUND):
            query = [("propagationPolicy", "Background")]
            await self._call("DELETE", self._path_of(sandbox_id), query=query)

    async def _call(self, method: str, path: str, **more: Any) -> Object:
        """Make a request, however often it takes: each of ours says the same when it is made twice."""
        return await self._patiently(lambda: self._cluster.call(method, path, **more))

    async def _refused(self, work: Coroutine[Any, Any, T]) -> T:
        """Turn the cluster's refusal into our word for it."""
        try:
            return await work
        except Refusal as refusal:
            raise _refused(refusal) from refusal

    def _path_of(self, sandbox_id: str) -> str:
        return f"{self._jobs}/{name_of(sandbox_id)}"

    def _wanted(self, spec: SandboxSpec) -> Wanted:
        image = spec.image or self._image
        for each in (image, *(service.image for service in spec.services)):
            if not any(fnmatch.fnmatchcase(each, pattern) for pattern in self._allowed_images):
                message = f"Image {each} is not among those that this platform runs."
                raise SandboxError(message, code="image_not_allowed")
        digest = hashlib.sha256(spec.id.encode()).digest()
        user = _FIRST_USER + int.from_bytes(digest[:8], "big") % _USERS
        return Wanted(spec, image, user)


@contextlib.contextmanager
def _unless(*statuses: int) -> Iterator[None]:
    """Pass over these refusals: what was asked for is so already."""
    try:
        yield
    except Refusal as refusal:
        if refusal.status not in statuses:
            raise


def _packed(base: Path) -> bytes:
    """Return a bare git directory as an archive that every user may read."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() else 0o644
        return member

    packed = io.BytesIO()
    try:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path in sorted(base.iterdir()):
                tar.add(path, arcname=path.name, filter=plain)
    except OSError as error:
        raise SandboxError(f"the base cannot be read: {error}") from error
    return packed.getvalue()


def _refused(refusal: Refusal) -> SandboxError:
    return SandboxError(f"The cluster refused: {refusal.message}", code="sandbox_failed")


def _lost(sandbox_id: str) -> SandboxError:
    return SandboxError(f"sandbox {sandbox_id} is not here", code="sandbox_lost")
