"""`codexsys up`: everything in one process."""

from codexsys_cli.connection import CLIENT_FILE
from codexsys_cli.output import say
from codexsys_cli.whole import Running, run_whole, with_free_ports
from codexsys_wiring.doctor import sandbox_advice
from codexsys_wiring.service import run
from codexsys_wiring.settings import Settings
from codexsys_wiring.telemetry import configure_telemetry


def up(settings: Settings) -> None:
    """Run until told to stop."""
    configure_telemetry(settings, service="up")
    advice = sandbox_advice(settings)
    if advice:
        say("Tasks cannot run here yet:")
        say(advice)
    settings = with_free_ports(settings)

    run(run_whole(settings, started=_tell))


def _tell(running: Running) -> None:
    settings, api = running.platform.settings, running.api
    model = (
        settings.model
        if settings.model_url
        else "scripted-demo (no real model; set CODEXSYS_MODEL_URL)"
    )
    print(running.sign_in_link(), flush=True)
    say("The link above signs you in, once, within 15 minutes.")
    say(f"API:     {api.url}/api/v1  ({api.url}/docs)")
    say(f"Model:   {model}")
    say(f"Data:    {settings.data_dir}")
    say(f"Client commands of this user find it by themselves ({settings.data_dir / CLIENT_FILE}).")
    say("Ctrl-C ends it.")
