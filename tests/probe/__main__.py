"""Tries every attempt of a phase, and prints what it saw as JSON.

`codexsys-python /app/input/tests/probe/__main__.py agent|setup`, inside a sandbox. With a folder and
names it is told by a file of that folder, tries these alone, and runs anywhere.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.probe.attempt import Told, tried
from tests.probe.table import ATTEMPTS


def main(phase: str, folder: str = "/app/input", *names: str) -> None:
    """Try all of them; nothing is judged here."""
    told = Told(**json.loads(Path(folder, "told.json").read_text()))
    chosen = [entry for entry in ATTEMPTS if (entry.agent if phase == "agent" else entry.setup)]
    chosen = [entry for entry in chosen if not names or entry.name in names]
    print(json.dumps({entry.name: tried(entry, told) for entry in chosen}))


if __name__ == "__main__":
    main(*sys.argv[1:])
