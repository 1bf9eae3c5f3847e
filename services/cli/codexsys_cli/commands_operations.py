"""Services one by one, and what an operator does."""

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codexsys_cli.commands_stuck import tasks
from codexsys_cli.commands_tenants import tenants
from codexsys_cli.output import Exit, emit, out, say
from codexsys_cli.panels import OPERATORS

if TYPE_CHECKING:
    from codexsys_wiring.doctor import Finding

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]
_PASSWORD = re.compile(r"(://[^:/@]*):[^/@]*@")

database = typer.Typer(help="The database.", no_args_is_help=True)
keys = typer.Typer(help="Keys of tenants.", no_args_is_help=True)
configuration = typer.Typer(help="The settings.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (api, worker, gateway, relay, doctor, version):
        app.command(rich_help_panel=OPERATORS)(command)
    app.add_typer(database, name="db", rich_help_panel=OPERATORS)
    app.add_typer(tenants, name="tenants", rich_help_panel=OPERATORS)
    app.add_typer(tasks, name="tasks", rich_help_panel=OPERATORS)
    app.add_typer(keys, name="keys", rich_help_panel=OPERATORS)
    app.add_typer(configuration, name="config", rich_help_panel=OPERATORS)


def api() -> None:
    """Serve the API and the pages."""
    from codexsys_api.main import main

    main()


def worker() -> None:
    """Claim attempts and see them through."""
    from codexsys_worker.main import main

    main()


def gateway() -> None:
    """Serve the doors of sandboxes."""
    from codexsys_gateway.main import main

    main()


def relay() -> None:
    """Look after rows that wait."""
    from codexsys_relay.main import main

    main()


def version(json: Json = False) -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    found = installed("codexsys")
    if json:
        emit({"version": found})
    else:
        print(f"codexsys {found}")


def doctor(json: Json = False) -> None:
    """Try every part by using it, and say what to do where one does not work."""
    from codexsys_wiring.doctor import examine
    from codexsys_wiring.settings import load_settings
    from codexsys_wiring.telemetry import configure_telemetry

    settings = load_settings(log_level="error")
    configure_telemetry(settings, service="doctor")
    findings = asyncio.run(examine(settings))
    if json:
        for finding in findings:
            emit(
                {
                    "name": finding.name,
                    "ok": finding.ok,
                    "detail": finding.detail,
                    "advice": finding.advice,
                }
            )
    else:
        _table(findings)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(Exit.FAILURE)


@database.command()
def upgrade() -> None:
    """Bring the tables up to date."""
    from codexsys_wiring.platform import upgrade_database
    from codexsys_wiring.settings import load_settings

    asyncio.run(upgrade_database(load_settings()))
    say("The tables are up to date.")


@keys.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="Name of the tenant.")] = "default",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "command line",
    scope: Annotated[
        Literal["read", "write", "admin"],
        typer.Option(help="read: look; write: make and change, too; admin: manage keys, too."),
    ] = "admin",
    json: Json = False,
) -> None:
    """Make a key; it is shown this once."""
    from codexsys_cli.account import Account, make_key
    from codexsys_core.errors import NotFound
    from codexsys_core.principal import Scope
    from codexsys_wiring.platform import open_platform
    from codexsys_wiring.settings import load_settings

    async def make() -> Account:
        async with open_platform(load_settings()) as platform:
            found = await platform.keys.tenant_named(tenant)
            if found is None:
                message = (
                    f"There is no tenant {tenant!r}. Make it with: codexsys tenants create {tenant}"
                )
                raise NotFound(message, code="tenant_not_found")
            return await make_key(platform, found, name, Scope(scope))

    made = asyncio.run(make())
    if json:
        emit({"id": made.key_id, "tenant": tenant, "name": name, "scope": scope, "key": made.key})
    else:
        print(made.key)
        say("This is the only time it is shown.")


@configuration.command("show")
def show_configuration(json: Json = False) -> None:
    """Show every setting as it applies here, without secrets."""
    from codexsys_wiring.settings import load_settings

    settings = load_settings()
    given = settings.model_dump(mode="json")
    # Passwords inside URLs are no SecretStr.
    shown = {name: _PASSWORD.sub(r"\1:***@", str(value)) for name, value in given.items()}
    if json:
        emit(shown)
        return
    for name, value in shown.items():
        print(f"{name} = {value}")


def _table(findings: "list[Finding]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("part", "", "detail"):
        table.add_column(name)
    for finding in findings:
        word = Text("ok", style="green") if finding.ok else Text("FAILS", style="bold red")
        detail = finding.detail if finding.ok else f"{finding.detail}\n{finding.advice}"
        table.add_row(Text(finding.name), word, Text(detail))
    out().print(table)
