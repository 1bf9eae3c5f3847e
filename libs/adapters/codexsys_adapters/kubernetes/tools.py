"""The image of our own containers: the bundle at /opt/codexsys, and nothing beside it.

`python -m codexsys_adapters.kubernetes.tools NAME FILE` writes it as an archive that `docker load` and
`ctr images import` read.
"""

import hashlib
import importlib.util
import io
import json
import platform
import sys
import tarfile
import tempfile
from pathlib import Path

from codexsys_adapters.walls import bundle
from codexsys_adapters.walls.program import AT

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(name: str, target: Path) -> None:
    """Make the bundle from this host's files, and the image from it."""
    found = importlib.util.find_spec("codexsys_agent")
    if found is None or found.origin is None:
        raise SystemExit("the agent's package is not installed")
    with tempfile.TemporaryDirectory() as folder:
        made = bundle.made_in(Path(folder), Path(found.origin).parents[1])
        layer = Path(folder, "layer.tar")
        with tarfile.open(layer, mode="w") as tar:
            tar.add(made, arcname=AT.lstrip("/"), filter=_everybodys)
        _pack(name, layer, target)


def _everybodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _pack(name: str, layer: Path, target: Path) -> None:
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    machine = platform.machine()
    config = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(target, mode="w") as tar:
        for member, told in (("manifest.json", manifest), ("config.json", config)):
            data = json.dumps(told).encode()
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        tar.add(layer, arcname="layer.tar")


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
