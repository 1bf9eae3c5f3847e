"""The worker's side of sandboxes that are containers."""

import asyncio
import fnmatch
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiodocker import Docker
from aiodocker.containers import DockerContainer
from aiodocker.exceptions import DockerError

from codexsys_adapters.disks.layers import Layers
from codexsys_adapters.docker import images, parts, services
from codexsys_adapters.docker.engine import (
    CONFLICT,
    LABEL,
    NOT_FOUND,
    NOT_MODIFIED,
    Engine,
    containers_of,
    ensure,
    label_of,
    remove,
    unless,
)
from codexsys_adapters.docker.folder import Folder, names
from codexsys_adapters.docker.follow import Follower
from codexsys_adapters.docker.network import Network, NoNetwork
from codexsys_adapters.docker.parts import Sandbox
from codexsys_adapters.walls import bundle
from codexsys_adapters.walls.init import STOP
from codexsys_adapters.walls.owner import owner
from codexsys_adapters.walls.place import here
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
_LAYER_BYTES = 20 << 30


class DockerBackend:
    """Sandboxes of one Docker engine on this host; their files are folders under `root`.

    Another worker of the same platform finds them by their labels, wherever its own folder is;
    `platform` tells several platforms on one engine apart.
    """

    def __init__(
        self,
        root: Path,
        *,
        host: str,
        sockets: Path,
        agent_code: Path,
        bundles: Path,
        platform: str,
        image: str,
        allowed: Sequence[str] = ("*",),
        wheels: Path | None = None,
        deny_addresses: Sequence[str] = (),
        setup_allow: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._root = root
        self._engine = Engine(host)
        self._network = Network(sockets=sockets, allow=setup_allow, deny=deny_addresses)
        self._agent_code = agent_code
        self._bundles = bundles
        self._platform = platform
        self._image = image
        self._allowed_images = allowed
        self._wheels = wheels.resolve() if wheels else None
        self._layers = Layers(root.with_name("layers"), most_bytes=_LAYER_BYTES)
        self._clock = clock or SystemClock()
        self._followers: dict[tuple[str, str], Follower] = {}
        self._weighing: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, images.Look] = {}
        self._place = here("docker", host)

    @property
    def place(self) -> str:
        """Return a name of this host since it started, and of the engine's address on it."""
        return self._place

    @property
    def unenforced(self) -> tuple[str, ...]:
        """Return the limits that cannot be held: disks need root."""
        _, _, root = self._owner("")
        return () if root else ("disk_mb", "inodes")

    async def create(
        self, spec: SandboxSpec, base: Path | None, *, progress: Progress = silent
    ) -> Created:
        """Find the image and make the folder; the containers come with the phases."""
        folder = await self._found(spec.id) if base is None else Folder(self._root / spec.id)
        async with self._engine.session() as docker:
            if base is not None and not folder.exists():
                await self._make(docker, folder, spec, base, progress)
            setup = folder.setup
            if base is not None and setup["services"]:
                await self._start_services(docker, folder, progress)
        if base is not None:
            progress(image_line(setup["image"]["digest"]))
        return Created(layer=_named(setup["layer"]))

    async def _make(
        self, docker: Docker, folder: Folder, spec: SandboxSpec, base: Path, progress: Progress
    ) -> None:
        name = self._allowed(spec.image or self._image)
        image = await images.find(docker, name, progress)
        seen = await self._look(docker, image, spec.id)
        if not seen.shell:
            raise SandboxError(f"Image {name} has no /bin/sh.", code="image_unusable")
        beside = [
            await images.find(docker, self._allowed(each.image), progress) for each in spec.services
        ]
        wanted = [_of_image(image.digest, layer) for layer in spec.layers]
        layer = await asyncio.to_thread(self._layers.find, spec.tenant_id, wanted)
        setup = self._setup(spec, image, layer.name if layer else None, beside)
        await asyncio.to_thread(
            folder.make,
            setup,
            base,
            token=spec.token.get_secret_value() if spec.token else "",
            etc=_etc(seen, setup),
            layer=layer,
        )

    async def keep(self, sandbox_id: str, layer: str) -> None:
        """Copy the sandbox's disk for later ones; where that cannot be, nothing is kept."""
        folder = await self._found(sandbox_id)
        setup = folder.setup
        if setup["root"]:
            scoped = _of_image(setup["image"]["digest"], layer)
            await asyncio.to_thread(self._keep, folder, setup, scoped)

    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        """Make the phase's container, and what its network leads through, and start it."""
        folder = await self._found(sandbox_id)
        setup, told = folder.setup, phase.model_dump(exclude={"files"})
        await asyncio.to_thread(folder.lay_down, told, phase.files, parts.plan(setup, told))
        if folder.end_of(phase.name) is not None:
            return
        sandbox = await self._sandbox(folder)
        async with folder.starting(), self._engine.session() as docker:
            try:
                network = await self._network.open(docker, sandbox, told)
            except NoNetwork as error:
                end = {"reason": "sandbox_failed", "detail": f"network: {error}"}
                folder.note_end(phase.name, end)
                return
            await _run(docker, sandbox, told, network)
        await self._follow(folder, phase.name).started.wait()

    async def wait(self, sandbox_id: str, phase: str) -> PhaseEnd:
        """Return how the phase ended, from what was written down or from its container."""
        folder = await self._found(sandbox_id)
        end = folder.end_of(phase)
        if end is None:
            if folder.told(phase) is None:
                raise SandboxError(f"phase {phase} was not started", code="sandbox_lost")
            follower = self._follow(folder, phase)
            await follower.ended.wait()
            end = follower.end
        told = folder.told(phase) or {}
        if told.get("network") == "public":
            async with self._engine.session() as docker:
                await self._network.close(docker, sandbox_id, phase)
        return PhaseEnd.model_validate(end)

    async def output(
        self, sandbox_id: str, phase: str, offset: int, *, limit: int = 65_536
    ) -> bytes:
        """Return captured output; waits up to a second for more while the phase runs."""
        folder = await self._found(sandbox_id)
        if folder.told(phase) is None:
            return b""
        return await self._follow(folder, phase).output(offset, limit, _OUTPUT_WAIT_SECONDS)

    async def signal(self, sandbox_id: str, *, kill: bool = False) -> None:
        """Stop or kill the running phase."""
        folder = await self._found(sandbox_id)
        async with self._engine.session() as docker:
            for container in await containers_of(docker, sandbox=sandbox_id, part="phase"):
                if container["State"] == "running":
                    if kill:
                        folder.note_kill(label_of(container, "phase"))
                    with unless(NOT_FOUND, CONFLICT):  # it has just ended
                        await container.kill(signal="SIGKILL" if kill else STOP.name)

    async def list(self) -> list[str]:
        """Return the ids of all sandboxes that have a container or a folder here."""
        found = {
            label_of(each, "sandbox")
            for each in await self._engine.containers(platform=self._platform)
        }
        return sorted(found | set(await asyncio.to_thread(names, self._root)))

    async def destroy(self, sandbox_id: str) -> None:
        """Kill and remove the sandbox's containers, then what they stood on."""
        folders = [Folder(self._root / sandbox_id)]
        async with self._engine.session() as docker:
            found = await containers_of(docker, sandbox=sandbox_id)
            folders += self._named_by(found, sandbox_id)
            await asyncio.gather(*(remove(each) for each in found))
        for key in [key for key in self._followers if key[0] == sandbox_id]:
            await self._followers.pop(key).close()
        if sandbox_id in self._weighing:
            self._weighing.pop(sandbox_id).cancel()
        for folder in folders:
            await asyncio.to_thread(folder.remove)

    async def _found(self, sandbox_id: str) -> Folder:
        """Return the sandbox's folder: ours, or the one that its containers name."""
        folder = Folder(self._root / sandbox_id)
        if folder.exists():
            return folder
        found = await self._engine.containers(sandbox=sandbox_id)
        for other in self._named_by(found, sandbox_id):
            return other
        raise SandboxError(f"sandbox {sandbox_id} is not here", code="sandbox_lost")

    def _named_by(self, found: Sequence[DockerContainer], sandbox_id: str) -> Sequence[Folder]:
        """Return other workers' folders that containers name, each proven to be that sandbox's.

        An image has labels, too, and its containers inherit them: a label alone proves nothing.
        """
        places = {Path(label_of(each, "folder")) for each in found}
        named = [Folder(place) for place in places if place.is_absolute()]
        return [
            folder
            for folder in named
            if folder.path.name == sandbox_id
            and folder.exists()
            and folder.setup.get("platform") == self._platform
        ]

    def _follow(self, folder: Folder, phase: str) -> Follower:
        key = (folder.path.name, phase)
        if key not in self._followers:
            for old in [old for old, each in self._followers.items() if each.forgotten]:
                del self._followers[old]
            self._followers[key] = Follower(
                engine=self._engine,
                folder=folder,
                phase=phase,
                container=parts.phase_name(folder.path.name, phase),
                clock=self._clock,
            )
        return self._followers[key]

    async def _look(self, docker: Docker, image: images.Image, sandbox_id: str) -> images.Look:
        """Look into each image once."""
        if image.id not in self._seen:
            own = {"platform": self._platform, "sandbox": sandbox_id, "part": "look"}
            labels = {LABEL + name: value for name, value in own.items()}
            self._seen[image.id] = await images.look(docker, image, f"{sandbox_id}.look", labels)
        return self._seen[image.id]

    async def _start_services(self, docker: Docker, folder: Folder, progress: Progress) -> None:
        sandbox = await self._sandbox(folder)
        for told in sandbox.setup["services"]:
            seen = await self._look(docker, images.Image(**told["image"]), folder.path.name)
            plan = parts.service_plan(sandbox.setup, told)
            folder.lay_down_service(told["name"], plan, _etc(seen, sandbox.setup))
        network = await self._network.hold(docker, sandbox)
        await services.start(docker, sandbox, network, progress)
        self._weigh(sandbox)

    def _weigh(self, sandbox: Sandbox) -> None:
        """Look after the weight of a sandbox's services, as followers do after its phases'."""
        name = sandbox.folder.path.name
        if name not in self._weighing:
            task = asyncio.create_task(services.weigh(self._engine, sandbox))
            self._weighing[name] = task
            task.add_done_callback(lambda _: self._weighing.pop(name, None))

    async def _sandbox(self, folder: Folder) -> Sandbox:
        made = await asyncio.to_thread(bundle.made_in, self._bundles, self._agent_code)
        return Sandbox(folder.setup, folder, made, self._wheels)

    def _allowed(self, name: str) -> str:
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._allowed_images):
            message = f"Image {name} is not among those that this platform runs."
            raise SandboxError(message, code="image_not_allowed")
        return name

    def _owner(self, sandbox_id: str) -> tuple[int, int, bool]:
        return *owner(sandbox_id), os.geteuid() == 0

    def _setup(
        self,
        spec: SandboxSpec,
        image: images.Image,
        layer: str | None,
        beside: Sequence[images.Image],
    ) -> dict[str, Any]:
        uid, gid, root = self._owner(spec.id)
        return {
            "id": spec.id,
            "task_id": spec.task_id,
            "tenant_id": spec.tenant_id,
            "platform": self._platform,
            "role": spec.role.value,
            "limits": spec.limits.model_dump(),
            "ends_at": time.time() + spec.seconds,
            "uid": uid,
            "gid": gid,
            "door_uid": uid + 1,
            "root": root,
            "wheels": bool(self._wheels),
            "layer": layer,
            "door": spec.token is not None,
            "image": asdict(image),
            "services": [
                each.model_dump() | {"image": asdict(found)}
                for each, found in zip(spec.services, beside, strict=True)
            ],
        }

    def _keep(self, folder: Folder, setup: dict[str, Any], layer: str) -> None:
        below = self._layers.find(setup["tenant_id"], [setup["layer"]]) if setup["layer"] else None
        if setup["layer"] and below is None:
            return  # what it stands on was forgotten
        try:
            self._layers.keep(setup["tenant_id"], layer, folder.keep_into, below=below)
        except OSError:
            return


def _of_image(digest: str, layer: str) -> str:
    """Return what a layer is kept as: a tag that was moved leads to no files made in another image."""
    return f"{digest} {layer}"


def _named(kept: str | None) -> str | None:
    return kept.partition(" ")[2] if kept else None


async def _run(docker: Docker, sandbox: Sandbox, told: dict[str, Any], network: str) -> None:
    """Start a phase's container unless it was started before."""
    name = parts.phase_name(sandbox.setup["id"], told["name"])
    container = await ensure(docker, name, parts.phase(sandbox, told, network))
    state = (await container.show())["State"]
    if state["Status"] != "created":
        return
    try:
        with unless(NOT_MODIFIED):
            await container.start()
    except DockerError as error:
        message = f"A container of this image cannot start: {error.message}"
        raise SandboxError(message, code="image_unusable") from error


def _etc(seen: images.Look, setup: dict[str, Any]) -> dict[str, str]:
    """Return the image's own users, and the sandbox's."""
    own = f"sandbox:x:{setup['uid']}:{setup['gid']}:sandbox:/app/home:/bin/sh"
    return {
        "passwd": f"{seen.passwd.rstrip()}\n{own}\n",
        "group": f"{seen.group.rstrip()}\nsandbox:x:{setup['gid']}:\n",
        "nothing": "",
    }
