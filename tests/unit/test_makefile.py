"""`make help` is made from the Makefile's own comments."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_help_names_every_target_with_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert phony
    said = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    lines = dict(re.findall(r"^  make (\S+) +(\S.*)$", said, re.M))
    assert set(lines) == set(phony.group(1).split())
    assert len(said.splitlines()) == len(lines)
