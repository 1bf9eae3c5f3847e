"""How far a zip is on its way: a bar on a terminal, a line for each quarter elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from codexsys_client.sending import Progress as Told

LARGE = 4 << 20
"""What is smaller is gone before anybody has read a word about it."""


@contextmanager
def shown(console: Console) -> Iterator[Told]:
    """Show it until the block ends."""
    if not console.is_terminal:
        yield _Lines(console).told
        return
    columns = (
        TextColumn("sending"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", visible=False)

        def told(sent: int, total: int) -> None:
            bar.update(task, completed=sent, total=total, visible=total >= LARGE)

        yield told


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._quarter = 0

    def told(self, sent: int, total: int) -> None:
        quarter = 4 * sent // total
        if total < LARGE or quarter == self._quarter:
            return
        self._quarter = quarter
        self._console.print(f"sending: {quarter * 25} % of {total / (1 << 20):.1f} MiB")
