"""The command line."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from codexsys_cli import (
    commands_environments,
    commands_k8s_run,
    commands_messages,
    commands_operations,
    commands_run,
    commands_tasks,
    commands_usage,
)
from codexsys_cli.output import Exit, say
from codexsys_cli.panels import START

app = typer.Typer(
    name="codexsys",
    help="Runs AI coding agents in sandboxes on your code and hands back a verified change.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder for everything that is kept.")
]


@app.command(rich_help_panel=START)
def up(data_dir: DataDir = None) -> None:
    """Run every service in one process; prints a link that signs you in."""
    from codexsys_cli import up as command
    from codexsys_wiring.settings import load_settings

    command.up(load_settings(**({"data_dir": data_dir} if data_dir else {})))


@app.command(rich_help_panel=START)
def demo(
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this new folder.")] = None,
) -> None:
    """See a whole task, offline, on a sample repository."""
    from codexsys_cli.demo.run import demo as run
    from codexsys_cli.output import out
    from codexsys_wiring.settings import load_settings
    from codexsys_wiring.telemetry import configure_telemetry

    settings = load_settings(log_level="error")
    configure_telemetry(settings, service="demo")
    raise typer.Exit(run(settings, keep=keep, console=out()))


commands_run.register(app)
commands_k8s_run.register(app)
commands_tasks.register(app)
commands_environments.register(app)
commands_messages.register(app)
commands_usage.register(app)
commands_operations.register(app)


def main() -> None:
    """Run one command; every error is one clear line."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that what was begun is put away on the way out
    try:
        app(prog_name="codexsys")
    except KeyboardInterrupt:
        say("codexsys: interrupted")
        sys.exit(Exit.INTERRUPTED)
    except Exception as error:
        from codexsys_cli.errors import explained

        line, code = explained(error)
        if line is None:
            raise
        say(f"codexsys: {line}")
        sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt
