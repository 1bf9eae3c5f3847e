"""The folder that a run's files go to: nothing of an earlier run is left in it to be taken for this one's."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from codexsys_cli.downloads import inside

RESULT = "result.json"


def opened(out: Path) -> None:
    """Make the folder, or remove what an earlier run wrote to it; nothing else in it is touched."""
    if not out.exists():
        out.mkdir(parents=True)
        (out / ".gitignore").write_text("*\n")
        return
    for name in _written_before(out):
        inside(out, name).unlink(missing_ok=True)
    (out / RESULT).unlink(missing_ok=True)


def write_result(out: Path, result: Mapping[str, Any]) -> None:
    """Write the result beside the files that it names."""
    (out / RESULT).write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n")


def _written_before(out: Path) -> list[str]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [str(file["name"]) for file in json.loads((out / RESULT).read_text())["files"]]
    return []
