"""Writes the table of attempts into docs/security.md, between its two marks."""

from pathlib import Path

from tests.probe.attempt import Attempt
from tests.probe.table import ATTEMPTS, GROUPS

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_BEGIN, _END = "<!-- attempts: made by `make docs` -->", "<!-- end of attempts -->"


def written(page: str) -> str:
    """Return the page with the table as it should be."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{_text()}\n{_END}{after}"


def _text() -> str:
    count = f"{len(ATTEMPTS)} attempts, {_count('agent')} of them in the agent phase, {_count('setup')} in setup.\n"
    tables = [
        f"### {name}\n\n| attempt | agent phase | setup phase |\n|---|---|---|\n"
        + "\n".join(map(_row, group.attempts))
        + "\n"
        for name, group in GROUPS.items()
    ]
    return "\n".join([count, *tables])


def _count(phase: str) -> int:
    return sum(getattr(entry, phase) is not None for entry in ATTEMPTS)


def _row(entry: Attempt) -> str:
    return f"| {entry.about} | {entry.agent or '-'} | {entry.setup or '-'} |"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
