"""What was kept for later sandboxes, by tenant and name; the least recently used is forgotten first."""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codexsys_adapters.disks import kernel, trees
from codexsys_adapters.disks.image import IMAGE

_NOTE = "layer.json"
_DRAFT = "draft-"
_DEEPEST = 8
_DRAFT_SECONDS = 3600.0


@dataclass(frozen=True)
class Layer:
    """Something kept, and what it lies on."""

    name: str
    folders: tuple[Path, ...]
    """Its own first, then those below it, each with an image or a tree."""

    @property
    def images(self) -> tuple[Path, ...]:
        """Return the images to mount, the topmost first."""
        return tuple(folder / IMAGE for folder in self.folders)


class Layers:
    """All layers of a host, under one root. Whoever may call this has decided which tenant it is for."""

    def __init__(self, root: Path, *, most_bytes: int) -> None:
        self._root = root
        self._most = most_bytes

    def find(self, tenant: str, wanted: Sequence[str]) -> Layer | None:
        """Return the first of them that is kept whole, and note that it was used."""
        for name in wanted:
            layer = self._whole(tenant, name)
            if layer:
                for folder in reversed(layer.folders):  # those below must not look older
                    with contextlib.suppress(FileNotFoundError):
                        os.utime(folder / _NOTE)
                return layer
        return None

    def keep(
        self, tenant: str, name: str, fill: Callable[[Path], None], *, below: Layer | None = None
    ) -> None:
        """Have a new folder filled and put in place at once; kept already, or OSError, changes nothing."""
        place = self._place(tenant, name)
        lower = [folder.name for folder in below.folders] if below else []
        if self._whole(tenant, name) or len(lower) >= _DEEPEST:
            return
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = place.parent / f"{_DRAFT}{secrets.token_hex(8)}"
        draft.mkdir(mode=0o700)
        try:
            fill(draft)
            (draft / _NOTE).write_text(
                json.dumps({"name": name, "below": lower, "bytes": _size(draft)})
            )
            _retire(place)  # what is there is not whole
            with contextlib.suppress(OSError):  # somebody else was quicker
                draft.rename(place)
        finally:
            _remove(draft)
        self._forget()

    @contextlib.contextmanager
    def held(self, layer: Layer) -> Iterator[None]:
        """Keep a layer from being forgotten while it is read."""
        with contextlib.ExitStack() as stack:
            for folder in layer.folders:
                file = stack.enter_context((folder / _NOTE).open("rb"))
                fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def _place(self, tenant: str, name: str) -> Path:
        return self._root / _hashed(tenant) / _hashed(name)

    def _whole(self, tenant: str, name: str) -> Layer | None:
        place = self._place(tenant, name)
        note = _read(place)
        if note is None or note.name != name:
            return None
        folders = (place, *(place.parent / below for below in note.below))
        return Layer(name, folders) if all((f / _NOTE).exists() for f in folders) else None

    def _forget(self) -> None:
        """Remove the least recently used until the rest fits; none that is used or lain upon."""
        found = sorted(self._root.glob(f"*/*/{_NOTE}"), key=_last_used, reverse=True)
        notes = {path.parent: note for path in found if (note := _read(path.parent))}
        total = sum(note.bytes for note in notes.values())
        kept = {folder.parent / below for folder, note in notes.items() for below in note.below}
        kept |= {Path(image).parent for image in kernel.images_in_use()}
        for folder, note in reversed(list(notes.items())):
            if total > self._most and folder not in kept and _retire(folder):
                total -= note.bytes
        for draft in self._root.glob(f"*/{_DRAFT}*"):  # left by somebody who was killed
            if _last_used(draft) < time.time() - _DRAFT_SECONDS:
                _remove(draft)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class _Note:
    name: str
    below: list[str]
    bytes: int


def _read(folder: Path) -> _Note | None:
    try:
        return _Note(**json.loads((folder / _NOTE).read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _size(folder: Path) -> int:
    image = folder / IMAGE
    return image.stat().st_blocks * 512 if image.exists() else trees.size(folder)


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _retire(folder: Path) -> bool:
    """Remove a layer that nobody reads: first its note, so that it is never seen in part."""
    try:
        with (folder / _NOTE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            grave = folder.with_name(f"{_DRAFT}{secrets.token_hex(8)}")
            folder.rename(grave)
            _remove(grave)
    except OSError:
        return False
    return True


def _remove(folder: Path) -> None:
    if (folder / IMAGE).exists():
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        trees.remove(folder)
