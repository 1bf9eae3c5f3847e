"""Notes to agents, as a client of a platform."""

import sys
from typing import Annotated

import typer

from codexsys_cli.output import emit, say
from codexsys_cli.panels import TASKS


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=TASKS)(message)


def message(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Id of a task.")],
    text: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT]", help="- reads it; without it all messages are listed."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> None:
    """Tell a task's agent something while it works, or see what it has read."""
    from codexsys_cli.connection import connect

    with connect() as client:
        if text is None:
            cursor: str | None = ""
            while cursor is not None:
                page = client.messages(task, limit=100, cursor=cursor or None)
                for each in page["items"]:
                    _show(each["id"], each["delivered_at"], each["text"]) if not json else emit(
                        each
                    )
                cursor = page["next_cursor"]
            return
        sent = client.message(task, sys.stdin.read() if text == "-" else text)
    if json:
        emit(sent)
    else:
        print(sent["id"])
        say(f"It waits until the agent reads it. See whether it did: codexsys message {task}")


def _show(message_id: str, delivered_at: str | None, text: str) -> None:
    print(
        f"{message_id}  {f'read {delivered_at}' if delivered_at else 'not read'}  {' '.join(text.split())}"
    )
