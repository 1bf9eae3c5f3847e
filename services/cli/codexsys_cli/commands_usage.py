"""What was used, as a client of a platform."""

from typing import TYPE_CHECKING, Annotated

import typer

from codexsys_cli.output import emit, out
from codexsys_cli.panels import TASKS

if TYPE_CHECKING:
    from codexsys_client import TasksUsage


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=TASKS)(usage)


def usage(
    first: Annotated[
        str | None, typer.Option("--from", help="First day, 2026-11-28; else 30 days.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day; else today, in UTC.")] = None,
    label: Annotated[
        str | None, typer.Option(help="A name divides by its values; name=value is a filter.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The whole report as JSON.")] = False,
) -> None:
    """Show tokens, calls, money and tasks by day, or by a label's values."""
    from codexsys_cli.connection import connect

    with connect() as client:
        report = client.usage(first=first, last=last, label=label)
    if json:
        emit(report)
        return
    rows: list[tuple[str, TasksUsage]]
    if label and "=" not in label:
        # A value may say nothing or be a dash; only what has none at all is told apart.
        rows = [
            ("(without)" if row["value"] is None else row["value"], row) for row in report["values"]
        ]
    else:
        rows = [(row["day"], row) for row in report["days"] if row["tasks"]]
    _table(label.partition("=")[0] if label and "=" not in label else "day", rows, report["total"])


def _table(head: str, rows: "list[tuple[str, TasksUsage]]", total: "TasksUsage") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(Text(head))
    for name in ("tasks", "verified", "calls", "tokens in", "tokens out", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in [*rows, ("total", total)]:
        counts = (row["tasks"], row["verified"], row["calls"])
        tokens = (row["input_tokens"], row["output_tokens"])
        cells = (f"{number:,}" for number in (*counts, *tokens))
        table.add_row(*(Text(cell) for cell in (name, *cells, f"${row['cost_usd']:,.4f}")))
    out().print(table)
