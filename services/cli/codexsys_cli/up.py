"""`codexsys up`: everything in one process."""

from codexsys_cli.connection import CLIENT_FILE
from codexsys_cli.output import say
from codexsys_cli.whole import Running, run_whole
from codexsys_wiring.sandbox import with_sandbox
from codexsys_wiring.service import run
from codexsys_wiring.settings import Settings, load_settings
from codexsys_wiring.telemetry import configure_telemetry


def up(settings: Settings) -> None:
    """Run until told to stop."""
    configure_telemetry(settings, service="up")
    run(run_whole(with_sandbox(settings), started=_tell))


def _tell(running: Running) -> None:
    settings, api = running.platform.settings, running.api
    catalogue = running.platform.catalogue
    model = ", ".join(catalogue.models)
    if not any(upstream.url for upstream in catalogue.upstreams):
        model += " (no real model; set CODEXSYS_MODEL_URL)"
    elif not all(catalogue.priced(each) for each in catalogue.models):
        model += " (not all prices are known, so not all money is limited; see docs/models.md)"
    print(running.sign_in_link(), flush=True)
    say("The link above signs you in, once, within 15 minutes.")
    say(f"API:     {api.url}/api/v1  ({api.url}/docs)")
    say(f"Model:   {model}")
    say(f"Data:    {settings.data_dir}")
    usual = settings.data_dir == load_settings().data_dir
    here = "" if usual else f" where CODEXSYS_DATA_DIR={settings.data_dir} is set"
    say(f"Client commands of this user find it by themselves{here}; from elsewhere they need")
    say(
        f"CODEXSYS_URL={api.url} and CODEXSYS_API_KEY, which is in {settings.data_dir / CLIENT_FILE}."
    )
    say("Ctrl-C ends it.")
