"""Loads rules by the bundle's nft, and reads them back: what is not there in force is a failure."""

import json
import subprocess
from typing import Any, Protocol

from codexsys_adapters.walls.program import AT, LOADER

_NFT = (*LOADER, f"{AT}/libexec/nft")
_SECONDS = 20.0


class Table(Protocol):
    """The table `inet codexsys` as text, and how it is known again."""

    @property
    def text(self) -> str:
        """Return what nft reads."""

    def found_in(self, listed: dict[str, Any]) -> bool:
        """Say whether what nft lists is this table, whole and in force."""


def load(table: Table, *, first: str = "") -> None:
    """Load a table, after some text and in one step with it; ends the program where it fails."""
    _run(["-f", "-"], first + table.text)
    if not table.found_in(json.loads(_run(["-j", "list", "table", "inet", "codexsys"]))):
        raise SystemExit("the network's rules are not as they were loaded")


def _run(arguments: list[str], text: str = "") -> str:
    ran = subprocess.run(
        [*_NFT, *arguments],
        env={},
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )
    if ran.returncode != 0:
        raise SystemExit(f"nft: {ran.stderr.decode(errors='replace')[-300:]}")
    return ran.stdout.decode()
