"""Owners of tasks, and how much of the platform each gets."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codexsys_cli.output import emit, out, say

if TYPE_CHECKING:
    from codexsys_core.quota import Load
    from codexsys_wiring.platform import Platform

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the tenant.")]
Weight = Annotated[
    float | None,
    typer.Option(
        min=0.01, max=100, help="How many turns it gets where others of weight 1 get one."
    ),
]
Cap = typer.Option(metavar="NUMBER|default|none")
Running = Annotated[str | None, Cap]
Queued = Annotated[str | None, Cap]
Usd = Annotated[str | None, typer.Option(metavar="DOLLARS|default|none")]
Tokens = Annotated[str | None, Cap]

_QUOTA = ("weight", "max_running", "max_queued", "max_usd_per_day", "max_tokens_per_day")
_MOST = {"max_tokens_per_day": 10**15}

tenants = typer.Typer(help="Owners of tasks.", no_args_is_help=True)


@tenants.command()
def create(
    name: Name,
    weight: Weight = None,
    max_running: Running = None,
    max_queued: Queued = None,
    max_usd_per_day: Usd = None,
    max_tokens_per_day: Tokens = None,
    json: Json = False,
) -> None:
    """Make a tenant; one that is there is left alone, but for what the options say."""
    caps = {"max_running": max_running, "max_queued": max_queued}
    days = {"max_usd_per_day": max_usd_per_day, "max_tokens_per_day": max_tokens_per_day}
    changes = _changes(weight, caps | days)
    load = asyncio.run(_kept(name, changes, make=True))
    _warn_of_limits(load)
    if json:
        emit(_shown(load))
    else:
        print(load.tenant.id)


@tenants.command()
def update(
    name: Name,
    weight: Weight = None,
    max_running: Running = None,
    max_queued: Queued = None,
    max_usd_per_day: Usd = None,
    max_tokens_per_day: Tokens = None,
    json: Json = False,
) -> None:
    """Change a tenant's weight and caps; what is not named stays. Workers follow within a beat, gateways at once."""
    caps = {"max_running": max_running, "max_queued": max_queued}
    days = {"max_usd_per_day": max_usd_per_day, "max_tokens_per_day": max_tokens_per_day}
    changes = _changes(weight, caps | days)
    if not changes:
        raise typer.BadParameter(f"name at least one of {', '.join(map(_option, _QUOTA))}")
    load = asyncio.run(_kept(name, changes, make=False))
    if json:
        emit(_shown(load))
    else:
        say(f"The tenant {name} is changed.")


@tenants.command("list")
def find(json: Json = False) -> None:
    """List tenants, with what each has running and queued now."""
    from codexsys_wiring.platform import open_platform
    from codexsys_wiring.settings import load_settings

    async def loads() -> "list[Load]":
        async with open_platform(load_settings()) as platform:
            return await platform.quotas.loads()

    found = asyncio.run(loads())
    if json:
        for load in found:
            emit(_shown(load))
        return
    _table(found)


def _changes(weight: float | None, caps: dict[str, str | None]) -> dict[str, Any]:
    changes: dict[str, Any] = {} if weight is None else {"weight": weight}
    for name, text in caps.items():
        if text is not None:
            changes[name] = _cap(name, text)
    return changes


def _cap(name: str, text: str) -> float | None:
    if text in ("default", "none"):
        return None if text == "default" else 0
    least, most = (0.01, 1_000_000) if name == "max_usd_per_day" else (1, _MOST.get(name, 10**6))
    number = _number(text, whole=name != "max_usd_per_day")
    if not least <= number <= most:
        raise typer.BadParameter(
            f"{_option(name)} is a number from {least} to {most}, default or none"
        )
    return number


def _number(text: str, *, whole: bool) -> float:
    """Return what was typed, a number below any that may be where it is none."""
    if text.isascii() and text.isdecimal():
        return int(text)
    plain = text.isascii() and text.replace(".", "", 1).isdecimal() and not whole
    return float(text) if plain else -1


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


async def _kept(name: str, changes: dict[str, Any], *, make: bool) -> "Load":
    from codexsys_cli.account import ensure_tenant
    from codexsys_wiring.platform import open_platform
    from codexsys_wiring.settings import load_settings

    async with open_platform(load_settings()) as platform:
        if make:
            await ensure_tenant(platform, name)
        load = await _named(platform, name)
        if changes:
            quota = load.quota.model_copy(update=changes)
            await platform.quotas.set(load.tenant.id, quota)
            load = load.model_copy(update={"quota": quota})
        return load


async def _named(platform: "Platform", name: str) -> "Load":
    from codexsys_core.errors import NotFound

    for load in await platform.quotas.loads():
        if load.tenant.name == name:
            return load
    message = f"There is no tenant {name!r}. Make it with: codexsys tenants create {name}"
    raise NotFound(message, code="tenant_not_found")


def _shown(load: "Load") -> dict[str, Any]:
    counts = {"running": load.running, "queued": load.queued}
    return {"id": load.tenant.id, "name": load.tenant.name, **load.quota.model_dump(), **counts}


def _table(loads: "list[Load]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("tenant", "weight", "running", "of", "queued", "of", "$/day", "tokens/day", "id"):
        table.add_column(name)
    for load in loads:
        quota = load.quota
        cells = (
            load.tenant.name,
            f"{quota.weight:g}",
            str(load.running),
            _word(quota.max_running),
            str(load.queued),
            _word(quota.max_queued),
            _word(quota.max_usd_per_day),
            _word(quota.max_tokens_per_day),
            load.tenant.id,
        )
        table.add_row(*(Text(cell) for cell in cells))
    out().print(table)


def _word(cap: float | None) -> str:
    if cap is None:
        return "default"
    return f"{cap:.15g}" if cap else "no cap"


def _warn_of_limits(load: "Load") -> None:
    """Say when sandboxes made here would not run this tenant's tasks."""
    from codexsys_wiring.platform import open_platform
    from codexsys_wiring.sandbox import unenforced
    from codexsys_wiring.settings import load_settings

    settings = load_settings()

    async def first() -> str | None:
        async with open_platform(settings) as platform:
            found = await platform.keys.first_tenant()
            return found.id if found else None

    if asyncio.run(first()) != load.tenant.id and (limits := unenforced(settings)):
        say(
            f"limits_unenforced: sandboxes of this host do not hold {', '.join(limits)}, so a worker here works for "
            "the first tenant alone. Run a worker for this one where codexsys doctor names no such limit."
        )
