"""`codexsys run`: one task in the foreground, without a server."""

import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer

import codexsys_cli.options_run as option
from codexsys_cli.panels import START

if TYPE_CHECKING:
    from codexsys_cli.foreground.order import Order
    from codexsys_wiring.settings import Settings

_JSON = "{"
_SIGNALLED = 128


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=START)(run)


def run(
    what: option.What = None,
    source: option.Source = None,
    ref: option.Ref = None,
    mode: option.Mode = None,
    checks: option.Checks = None,
    setup: option.Setup = None,
    model: option.Model = None,
    model_url: option.ModelUrl = None,
    command: option.Command = None,
    iterations: option.Iterations = None,
    task_id: option.TaskId = None,
    webhook: option.Webhook = None,
    git_username: option.GitUsername = None,
    git_email: option.GitEmail = None,
    sandbox: option.Holder = None,
    allow_network: option.AllowNetwork = None,
    allow_http: option.AllowHttp = False,
    out: option.Out = None,
    state: option.State = None,
    require_verified: option.RequireVerified = False,
) -> None:
    """Do one task here and now: states on standard error, the result as JSON on standard output."""
    signal.signal(signal.SIGTERM, _ended)
    from codexsys_cli.alone import with_ways
    from codexsys_cli.foreground.run import run as run_order
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
    said = _said(what)
    settings = with_ways(load_settings(log_level="error"), allow_network or (), http=allow_http)
    asked = _asked(said, flags, settings)
    if sandbox is not None:
        settings = settings.model_copy(update={"sandbox": sandbox.value})
    configure_telemetry(settings, service="run")
    raise typer.Exit(run_order(asked, settings, state=state, require_verified=require_verified))


def _said(what: str | None) -> str | None:
    """Return the prompt or the JSON; secrets do not stay where others may read a command line."""
    from codexsys_cli.foreground import handover, order

    if what is not None and what.startswith(_JSON) and order.secrets_in(what):
        handover.hand_over(what)
    return sys.stdin.read() if what == "-" else what


def _asked(said: str | None, flags: Mapping[str, Any], settings: "Settings") -> "Order":
    """Return the order that prompt or JSON, flags and variables come to."""
    from codexsys_cli.foreground import order
    from codexsys_wiring.job_variables import job_variables

    is_json = said is not None and said.lstrip().startswith(_JSON)
    return order.order_of(
        flags if is_json else {**flags, "prompt": said},
        said if is_json else None,
        job_variables(order.VARIABLES, secret=order.SECRET_VARIABLES),
        model_known=bool(settings.model_url or settings.models_file),
    )


def _ended(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """End with this signal's code, so that what was begun is put away on the way out."""
    raise SystemExit(_SIGNALLED + number)
