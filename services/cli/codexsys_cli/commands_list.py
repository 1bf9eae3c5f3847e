"""The list of tasks, and what narrows it down."""

from typing import TYPE_CHECKING, Annotated

import typer

from codexsys_cli.output import emit, out

if TYPE_CHECKING:
    from codexsys_client.types import Task

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]


def find(
    search: Annotated[
        str | None, typer.Argument(help="Text in the prompt, the source URL or the id.")
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only tasks with this status.")] = None,
    verdict: Annotated[str | None, typer.Option(help="Only tasks with this verdict.")] = None,
    label: Annotated[str | None, typer.Option(help="name=value")] = None,
    source_url: Annotated[str | None, typer.Option(help="Only tasks of this Git URL.")] = None,
    created_after: Annotated[
        str | None, typer.Option(help="Only later ones: 2026-11-28T09:30:00Z.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    json: Json = False,
) -> None:
    """List tasks, newest first."""
    from codexsys_cli.connection import connect

    with connect() as client:
        found = client.tasks(
            status=status,
            verdict=verdict,
            label=label,
            source_url=source_url,
            created_after=created_after,
            q=search,
            limit=limit,
        )
    if json:
        for task in found["items"]:
            emit(task)
        return
    _table(found["items"])


def _table(tasks: "list[Task]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    widths = {"id": 31, "status": 9, "verdict": 14, "created, UTC": 12}
    for name in ("id", "status", "verdict", "created, UTC", "prompt"):
        # Whole, so that it can be copied; only the prompt gives way on a narrow terminal.
        table.add_column(name, no_wrap=True, min_width=widths.get(name))
    for task in tasks:
        prompt = " ".join(task["prompt"].split())[:60]
        created = task["created_at"][5:16].replace("T", " ")
        row = (task["id"], task["status"], task["verdict"] or "", created, prompt)
        table.add_row(*(Text(cell) for cell in row))
    out().print(table)
