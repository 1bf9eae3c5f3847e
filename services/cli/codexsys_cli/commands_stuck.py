"""What has not moved for too long, for operators."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from codexsys_cli.output import emit, out, say

if TYPE_CHECKING:
    from codexsys_core.census import Stuck

Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]
Queued = Annotated[
    float, typer.Option(min=0, help="A due attempt is stuck after so many seconds without a claim.")
]
Other = Annotated[
    float, typer.Option(min=0, help="Everything else is stuck after so many seconds.")
]
Limit = Annotated[int, typer.Option(min=1, help="How many of each kind at most.")]

tasks = typer.Typer(help="All tenants' tasks, for operators.", no_args_is_help=True)


@tasks.callback()
def _group() -> None:
    """All tenants' tasks, for operators."""


@tasks.command()
def stuck(
    queued_seconds: Queued = 900, other_seconds: Other = 120, limit: Limit = 100, json: Json = False
) -> None:
    """List what has not moved for too long: the database's word, whatever services run."""
    from codexsys_wiring.platform import open_platform
    from codexsys_wiring.settings import load_settings

    async def look() -> "list[Stuck]":
        async with open_platform(load_settings()) as platform:
            return await platform.census.stuck(
                queued_seconds=queued_seconds, other_seconds=other_seconds, limit=limit
            )

    found = asyncio.run(look())
    if json:
        for each in found:
            emit(each.model_dump(mode="json"))
    elif found:
        _table(found)
    else:
        say("Nothing is stuck.")


def _table(found: "list[Stuck]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("kind", "since (UTC)", "task", "attempt", "what"):
        table.add_column(name)
    for each in found:
        cells = (
            each.kind.value,
            f"{each.since:%Y-%m-%d %H:%M:%S}",
            each.task_id,
            str(each.attempt),
            each.what,
        )
        table.add_row(*(Text(cell) for cell in cells))
    out().print(table)
