"""Environments of the caller: made, listed, shown, changed and removed."""

import json as text_json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codexsys_cli.output import Exit, emit, fail, out, say
from codexsys_cli.panels import TASKS

if TYPE_CHECKING:
    from codexsys_client import Client, Environment

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]
Which = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="Name or id of an environment.")]
Body = Annotated[
    Path | None, typer.Option("--file", help="The fields as JSON; - reads standard input.")
]
Setup = Annotated[Path | None, typer.Option(help="Script that prepares the sandbox.")]
Image = Annotated[str | None, typer.Option(help="Image of the sandboxes.")]
Variable = Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")]
Secret = Annotated[
    list[str] | None,
    typer.Option(help="NAME=FILE: a setup variable from a file (- : standard input)."),
]
Mirror = Annotated[list[str] | None, typer.Option(help="pip=URL, npm=URL, …; may be repeated.")]
Proxy = Annotated[str | None, typer.Option(help="What setup's programs go through.")]
Network = Annotated[str | None, typer.Option(help="public, none, or cidr:port,cidr:port.")]
Authorities = Annotated[Path | None, typer.Option(help="PEM file that setup trusts, too.")]
Checks = Annotated[str | None, typer.Option(help="Command that checks results.")]
_ID = re.compile(r"env_[0-9a-z]{26}")

environments = typer.Typer(help="What tasks run in, kept by name.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(environments, name="environments", rich_help_panel=TASKS)


@environments.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    file: Body = None,
    setup: Setup = None,
    image: Image = None,
    variable: Variable = None,
    secret: Secret = None,
    mirror: Mirror = None,
    proxy: Proxy = None,
    network: Network = None,
    certificates: Authorities = None,
    checks: Checks = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Same key: same environment.")] = None,
    json: Json = False,
) -> None:
    """Make an environment."""
    from codexsys_cli.connection import connect

    given = _fields(
        file, setup, image, variable, secret, mirror, proxy, network, certificates, checks
    )
    with connect() as client:
        made = client.create_environment(given | {"name": name}, idempotency_key=idempotency_key)
    if json:
        emit(made)
    else:
        print(made["id"])


@environments.command("list")
def find(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    json: Json = False,
) -> None:
    """List environments, newest first."""
    from codexsys_cli.connection import connect

    with connect() as client:
        found = client.environments(limit=limit)["items"]
    if json:
        for environment in found:
            emit(environment)
        return
    _table(found)


@environments.command()
def show(environment: Which, json: Json = False) -> None:
    """Show an environment; of its setup variables the names."""
    from codexsys_cli.connection import connect

    with connect() as client:
        found = client.environment(environment_id(client, environment))
    if json:
        emit(found)
    else:
        print(text_json.dumps(found, indent=2, ensure_ascii=False))


@environments.command()
def update(
    environment: Which,
    file: Body = None,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    setup: Setup = None,
    image: Image = None,
    variable: Variable = None,
    secret: Secret = None,
    mirror: Mirror = None,
    proxy: Proxy = None,
    network: Network = None,
    certificates: Authorities = None,
    checks: Checks = None,
    clear: Annotated[
        list[str] | None, typer.Option(help="FIELD or FIELD.NAME to take out; may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Change what is named; accepted tasks keep the environment that they were made with."""
    from codexsys_cli.connection import connect

    given = _fields(
        file, setup, image, variable, secret, mirror, proxy, network, certificates, checks
    )
    given |= {"name": name} if name is not None else {}
    for each in clear or []:
        field, dot, part = each.partition(".")
        if dot:
            given[field] = {**(given.get(field) or {}), part: None}
        else:
            given[field] = None
    if not given:
        fail("Nothing is named", "say what to change", exit_code=Exit.USAGE)
    with connect() as client:
        changed = client.update_environment(environment_id(client, environment), given)
    if json:
        emit(changed)
    else:
        say(f"{changed['name']} is changed.")


@environments.command()
def delete(environment: Which) -> None:
    """Remove an environment."""
    from codexsys_cli.connection import connect

    with connect() as client:
        client.delete_environment(environment_id(client, environment))
    say(f"{environment} is removed.")


def environment_id(client: "Client", given: str) -> str:
    """Return the id of an environment by its name or id."""
    if _ID.fullmatch(given):
        return given
    found = client.environments(name=given, limit=1)["items"]
    if not found:
        fail(
            f"There is no environment {given!r}",
            "see: codexsys environments list",
            code="environment_not_found",
            exit_code=Exit.NOT_FOUND,
        )
    return found[0]["id"]


def _fields(
    file: Path | None,
    setup: Path | None,
    image: str | None,
    variable: list[str] | None,
    secret: list[str] | None,
    mirror: list[str] | None,
    proxy: str | None,
    network: str | None,
    certificates: Path | None,
    checks: str | None,
) -> dict[str, Any]:
    """Return what the flags say over what the file says."""
    given = _object(file) if file else {}
    named: dict[str, Any] = {
        "setup": setup.read_text() if setup else None,
        "image": image,
        "proxy": proxy,
        "certificates": certificates.read_text() if certificates else None,
        "checks": {"command": checks} if checks else None,
        "network": {"setup": _network(network)} if network else None,
        "variables": _pairs("--variable", variable),
        "mirrors": _pairs("--mirror", mirror),
        "setup_variables": {
            name: _read(path).rstrip("\n")
            for name, path in (_pairs("--secret", secret) or {}).items()
        },
    }
    return given | {name: value for name, value in named.items() if value}


def _object(file: Path) -> dict[str, Any]:
    try:
        found = text_json.loads(_read(str(file)))
    except ValueError as error:
        fail(f"{file} is not JSON", str(error), exit_code=Exit.USAGE)
    if not isinstance(found, dict):
        fail(f"{file} holds no JSON object", exit_code=Exit.USAGE)
    return found


def _read(path: str) -> str:
    return sys.stdin.read() if path == "-" else Path(path).read_text()


def _network(given: str) -> str | list[str]:
    if given in ("public", "none"):
        return given
    return [part.strip() for part in given.split(",") if part.strip()]


def _pairs(option: str, given: list[str] | None) -> dict[str, str] | None:
    found = {}
    for each in given or []:
        name, equals, value = each.partition("=")
        if not equals or not name:
            fail(f"{option} {each}", "write it as NAME=VALUE", exit_code=Exit.USAGE)
        found[name] = value
    return found or None


def _table(found: "list[Environment]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("id", "name", "image", "secrets", "changed"):
        table.add_column(name, no_wrap=True, min_width=30 if name == "id" else None)
    for each in found:
        secrets = ", ".join(each["setup_variables"])
        row = (each["id"], each["name"], each["image"] or "", secrets, each["updated_at"][:19])
        table.add_row(*(Text(cell) for cell in row))
    out().print(table)
