"""`codexsys run`: one task in the foreground, without a server."""

import signal
import sys
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from codexsys_cli.panels import START

_JSON = "{"
_SIGNALLED = 128


class Sandbox(StrEnum):
    """What holds the agent."""

    LOCAL = "local"
    DOCKER = "docker"
    NONE = "none"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=START)(run)


def run(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROMPT|JSON]",
            help="What is wanted, or one JSON object with all of it; - reads either from standard input.",
        ),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Git URL, folder or zip (REPO_URL).")] = None,
    ref: Annotated[str | None, typer.Option(help="Branch, tag or commit of a Git URL.")] = None,
    mode: Annotated[str | None, typer.Option(help="modify or explain.")] = None,
    checks: Annotated[str | None, typer.Option(help="Command that checks the result.")] = None,
    setup: Annotated[Path | None, typer.Option(help="Script that prepares the sandbox.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model (OPENAI_MODEL).")] = None,
    model_url: Annotated[
        str | None, typer.Option(help="Its endpoint, up to and with /v1 (OPENAI_BASE_URL).")
    ] = None,
    command: Annotated[
        Path | None, typer.Option(help="A script that does the work, in place of a model.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(help="Runs of the agent until checks pass (MAX_ITERATIONS).")
    ] = None,
    task_id: Annotated[str | None, typer.Option(help="Your own id of the task (TASK_ID).")] = None,
    webhook: Annotated[
        str | None, typer.Option(help="URL that is told of each state (WEBHOOK_URL).")
    ] = None,
    git_username: Annotated[
        str | None, typer.Option(help="Who asks for the source, author (GIT_USERNAME).")
    ] = None,
    git_email: Annotated[
        str | None, typer.Option(help="Author's address in commit.patch (GIT_EMAIL).")
    ] = None,
    sandbox: Annotated[
        Sandbox | None,
        typer.Option(help="none: the agent is but another user of this machine; must be said."),
    ] = None,
    allow_network: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="Private addresses that source and webhook may be at."),
    ] = None,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Let source and webhook be plain http://.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the change and all files (WORKSPACE_DIR).")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder that is kept, so that a next run has less to do.")
    ] = None,
    require_verified: Annotated[
        bool, typer.Option("--require-verified", help="Exit 3 unless it is verified.")
    ] = False,
) -> None:
    """Do one task here and now: states on standard error, the result as JSON on standard output."""
    signal.signal(signal.SIGTERM, _ended)
    from codexsys_cli.alone import with_ways
    from codexsys_cli.foreground import handover, order
    from codexsys_cli.foreground.run import run as run_order
    from codexsys_wiring.job_variables import job_variables
    from codexsys_wiring.settings import load_settings
    from codexsys_wiring.telemetry import configure_telemetry

    flags = {
        "source": source,
        "ref": ref,
        "mode": mode,
        "checks": checks,
        "setup": setup and setup.read_text(),
        "model": model,
        "model_url": model_url,
        "command": command and command.read_text(),
        "iterations": iterations,
        "task_id": task_id,
        "out": out,
        "webhook_url": webhook,
        "git_username": git_username,
        "git_email": git_email,
    }
    if what is not None and what.startswith(_JSON) and order.secrets_in(what):
        handover.hand_over(what)
    said = sys.stdin.read() if what == "-" else what
    text = said if said is not None and said.lstrip().startswith(_JSON) else None
    settings = with_ways(load_settings(log_level="error"), allow_network or (), http=allow_http)
    asked = order.order_of(
        flags | ({"prompt": said} if text is None else {}),
        text,
        job_variables(order.VARIABLES, secret=order.SECRET_VARIABLES),
        model_known=bool(settings.model_url or settings.models_file),
    )
    if sandbox is not None:
        settings = settings.model_copy(update={"sandbox": sandbox.value})
    configure_telemetry(settings, service="run")
    raise typer.Exit(run_order(asked, settings, state=state, require_verified=require_verified))


def _ended(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """End with this signal's code, so that what was begun is put away on the way out."""
    raise SystemExit(_SIGNALLED + number)
