"""Sandboxes in a cluster that have disks of their own: what is full is full, and the pod stays."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.sandboxes import bash, run, spec_of
from tests.support import cluster
from tests.support.cluster import kubectl

from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import SandboxLimits

pytestmark = pytest.mark.kubernetes

HERE = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
LIMITS = SandboxLimits(memory_mb=192, pids=64, disk_mb=64)


@pytest.fixture
def storage_class(tmp_path: Path) -> Iterator[str]:
    """Offer one disk of 64 MiB with few inodes, which is a file system of its own on the node."""
    name = TimeOrderedIds().new("disk").replace("_", "-")
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with contextlib.ExitStack() as stack:
        make = f"mkfs.ext4 -q -O ^has_journal -m 0 -N 400 {image} 64M"
        subprocess.run(make.split(), check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
        stack.callback(subprocess.run, ["umount", str(place)], check=True)
        offered = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "64Mi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": name,
                "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": str(place)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [HERE]}]}},
            },
        }
        kubectl("create", "-f", "-", feed=json.dumps(offered))
        stack.callback(kubectl, "delete", "persistentvolume", name)
        yield name


async def test_what_is_full_is_full(storage_class: str, platform: str, base: Path) -> None:
    backend = cluster.backend(platform, storage_class=storage_class)
    assert backend.unenforced == ()
    spec = spec_of(limits=LIMITS)
    await backend.create(spec, base)
    try:
        much = "for n in 1 2 3; do head -c 30M /dev/zero > big-$n || exit 1; done"
        assert (await run(backend, spec.id, bash("much", much))).reason == "disk_full"
        room = await run(backend, spec.id, bash("room", "rm big-*; head -c 20M /dev/zero > x"))
        assert room.exit_code == 0
        many = "for n in $(seq 1000); do : > ~/f-$n || exit 1; done"
        assert (await run(backend, spec.id, bash("many", many))).reason == "disk_full"
    finally:
        await backend.destroy(spec.id)
    claims = kubectl("-n", cluster.NAMESPACE, "get", "pvc", "-o", "name").split()
    assert not [claim for claim in claims if spec.id.replace("_", "-") in claim]
