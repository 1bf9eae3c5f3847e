"""What a phase's network namespace leads to: nothing, the door, or public addresses."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codexsys_adapters.local import public
from codexsys_adapters.local.enter import listener_within


@contextlib.contextmanager
def connect(
    setup: dict[str, Any], folder: Path, inside: int, phase: dict[str, Any]
) -> Iterator[None]:
    """Open what the phase is to have, before its program runs; OSError refuses the start."""
    match phase["network"]:
        case "none":
            yield
        case "door":
            with _door(setup, folder, inside):
                yield
        case "public":
            with public.opened(setup, inside, phase["allow"]):
                yield
        case other:
            raise OSError(f"no network {other}")


@contextlib.contextmanager
def _door(setup: dict[str, Any], folder: Path, inside: int) -> Iterator[None]:
    from codexsys_adapters.walls.door import PORT, Door  # noqa: PLC0415 - slow to import, rarely needed
    from codexsys_adapters.walls.gateways import at_urls  # noqa: PLC0415

    token = (folder / "token").read_text()
    door = Door(listener_within(inside, PORT), at_urls(setup["gateways"]), token)
    door.open()
    try:
        yield
    finally:
        door.close()
