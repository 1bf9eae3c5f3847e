"""What a sandbox's files lie on: a disk mounted in the supervisor's own namespace, or plain folders."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from codexsys_adapters.disks import kernel, trees
from codexsys_adapters.disks.image import FOLDERS, IMAGE, Disk
from codexsys_adapters.disks.layers import Layer, Layers

_STANDS_ON = "stands-on.json"


def stands_on(folder: Path) -> str | None:
    """Return the layer that a sandbox turned out to stand on."""
    layer: str | None = json.loads((folder / _STANDS_ON).read_text())
    return layer


class Ground:
    """The files of one sandbox, as its supervisor has them."""

    def __init__(self, folder: Path, setup: dict[str, Any]) -> None:
        self._folder = folder
        self._setup = setup
        self._layers = Layers(Path(setup["layers"]), most_bytes=setup["layer_bytes"])
        self._disk = Disk(folder) if setup["disk"] else None
        self._layer: Layer | None = None

    @property
    def _unwalked(self) -> bool:
        """Say whether there are plain folders that we must not walk: root's hands are too strong."""
        return self._setup["root"] and not self._disk

    def open(self) -> None:
        """Put the files in place, on the first wanted layer that is kept, and say which it was."""
        found = self._layers.find(self._setup["tenant"], self._setup["wanted"])
        if self._unwalked:
            self._make()
        elif self._disk:
            kernel.unshare_mounts()
            self._layer = self._mount(self._disk, found)
        else:
            self._layer = self._copy(found)
        name = self._layer.name if self._layer else None
        (self._folder / _STANDS_ON).write_text(json.dumps(name))

    def keep(self, name: str) -> None:
        """Keep the files as a layer; no phase may be running."""
        tenant, disk = self._setup["tenant"], self._disk
        if self._unwalked:
            return
        if disk:
            self._layers.keep(
                tenant, name, lambda draft: disk.keep(draft / IMAGE), below=self._layer
            )
        else:
            self._layers.keep(
                tenant,
                name,
                lambda draft: trees.copy(self._folder / "files", draft / "files", durable=True),
            )

    def close(self) -> None:
        """Write nothing more: what is not kept by now is not wanted."""
        if self._disk:
            self._disk.abandon()

    def _mount(self, disk: Disk, layer: Layer | None) -> Layer | None:
        owner = self._setup["uid"]
        if layer:
            with contextlib.suppress(OSError):  # forgotten meanwhile, or an older kernel
                disk.mount(owner=owner, layers=layer.images)
                return layer
        disk.mount(owner=owner)
        return None

    def _copy(self, layer: Layer | None) -> Layer | None:
        files = self._folder / "files"
        if layer:
            with contextlib.suppress(OSError), self._layers.held(layer):  # forgotten meanwhile
                trees.copy(layer.folders[0] / "files", files)
                return layer
            trees.remove(files)
        self._make()
        return None

    def _make(self) -> None:
        for name in FOLDERS:
            place = self._folder / "files" / name
            place.mkdir(parents=True, exist_ok=True)
            os.chown(place, self._setup["uid"], self._setup["gid"])
