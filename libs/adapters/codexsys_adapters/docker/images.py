"""Images: found or pulled, looked into before they are used; and a scratch image of our own."""

import io
import json
import platform
import tarfile
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from codexsys_adapters.docker.engine import NOT_FOUND, ensure, remove
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import Progress

SCRATCH = "codexsys/scratch:1"
_ABSENT = ("not found", "manifest unknown", "does not exist", "access denied", "unauthorized")
_PLACES = ("dev", "etc", "opt/codexsys", "proc", "run/codexsys", "sys", "tmp")
_USERS = ("/etc/passwd", "/etc/group")
_SHELL = "/bin/sh"


@dataclass(frozen=True)
class Image:
    """What a sandbox needs to know of its image."""

    id: str
    digest: str
    """What names it for good: of the registry where it came from one, else its id."""
    env: dict[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    cwd: str = "/"


async def find(docker: Docker, name: str, progress: Progress) -> Image:
    """Return an image, pulled where it is not there; SandboxError says what is wrong with it."""
    try:
        shown = await docker.images.inspect(name)
    except DockerError as error:
        if error.status != NOT_FOUND:
            raise
        await _pull(docker, name, progress)
        shown = await docker.images.inspect(name)
    config = shown.get("Config") or {}
    entries = (entry.partition("=") for entry in config.get("Env") or ())
    return Image(
        id=shown["Id"],
        digest=next(iter(shown.get("RepoDigests") or ()), shown["Id"]),
        env={key: value for key, _, value in entries},
        volumes=tuple(config.get("Volumes") or ()),
        command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        cwd=config.get("WorkingDir") or "/",
    )


async def _pull(docker: Docker, name: str, progress: Progress) -> None:
    progress(f"pulling image {name}")
    layers: dict[str, bool] = {}
    try:
        async for event in docker.images.pull(name, stream=True):
            done = event.get("status") in ("Pull complete", "Already exists")
            known = layers.get(event.get("id", ""))
            if "progressDetail" in event or done:
                layers[event.get("id", "")] = done or bool(known)
            if done and not known:
                progress(f"image {name}: {sum(layers.values())} of {len(layers)} layers are here")
    except DockerError as error:
        text = error.message.lower()
        absent = error.status == NOT_FOUND or any(word in text for word in _ABSENT)
        code = "image_not_found" if absent else "sandbox_failed"
        raise SandboxError(f"Image {name}: {error.message}", code=code) from error


@dataclass(frozen=True)
class Look:
    """What was seen inside an image."""

    passwd: str
    group: str
    shell: bool


async def look(docker: Docker, image: Image, name: str, labels: dict[str, str]) -> Look:
    """Look into an image through a container of it that never runs."""
    config: dict[str, Any] = {"Image": image.id, "Entrypoint": ["none"], "Labels": labels}
    config |= {"HostConfig": {"NetworkMode": "none"}}
    container = await ensure(docker, name, config)
    try:
        members = [await _member(container, path) for path in (*_USERS, _SHELL)]
    finally:
        await remove(container)
    passwd, group = ((text or b"").decode(errors="replace") for text in members[:2])
    return Look(passwd, group, shell=members[2] is not None)


async def _member(container: Any, path: str) -> bytes | None:
    """Return a small file of a container that never ran, None when it is not there."""
    try:
        archive = await container.get_archive(path)
    except DockerError as error:
        if error.status == NOT_FOUND:
            return None
        raise
    with archive:
        member = archive.next()
        stream = archive.extractfile(member) if member is not None and member.isreg() else None
        return stream.read() if stream else b""


async def have_scratch(docker: Docker) -> None:
    """Bring in the image of our own containers: places to mount at, and nothing else."""
    try:
        await docker.images.inspect(SCRATCH)
    except DockerError as error:
        if error.status != NOT_FOUND:
            raise
        await docker.images.import_image(_scratch())


def _scratch() -> bytes:
    layer = _archive({}, _PLACES)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]}
    config = {"architecture": _architecture(), "os": "linux", "config": {}, "rootfs": rootfs}
    manifest = [{"Config": "config.json", "RepoTags": [SCRATCH], "Layers": ["layer.tar"]}]
    return _archive(
        {
            "manifest.json": json.dumps(manifest).encode(),
            "config.json": json.dumps(config).encode(),
            "layer.tar": layer,
        }
    )


def _archive(files: dict[str, bytes], folders: tuple[str, ...] = ()) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in folders:
            for part in [*reversed(Path(name).parents), Path(name)][1:]:
                entry = tarfile.TarInfo(str(part))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
