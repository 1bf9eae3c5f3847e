"""Measure on real servers, against what one would write instead; print and keep a report."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from tests.bench.adoption import Adoption, measure_adoption
from tests.bench.agent import measure_agent
from tests.bench.beats import Beats, measure_beats
from tests.bench.broker import Broker, measure_broker
from tests.bench.cancel import Cancel, measure_cancel
from tests.bench.cluster import measure_cluster
from tests.bench.dispatch import measure
from tests.bench.fair import CAP, Fair, measure_fair
from tests.bench.gateway import GatewayFigures, measure_gateway
from tests.bench.pages import measure_pages
from tests.bench.place import Place, opened
from tests.bench.processes import ROOT
from tests.bench.report import Judged, Report
from tests.bench.rounds import Throughput
from tests.bench.sandbox import SandboxFigures, measure_sandboxes
from tests.bench.throughput import Contest
from tests.bench.uploads import Uploads, measure_uploads
from tests.bench.watchers import Watchers, measure_watchers

from codexsys_core.principal import ApiKey, Tenant, hash_secret, key_text, new_secret
from codexsys_core.quota import Quota
from codexsys_wiring.platform import open_platform
from codexsys_wiring.settings import Settings

SLOW_RATE = 1.0
"""Where tasks are not in each other's way."""
OF_SANDBOXES = ("sandbox", "neighbours")
"""What can be measured without servers: all about sandboxes, or only how they bear each other."""
REPORT = ROOT / "build/bench"


async def make_key(place: Place, name: str = "bench", quota: Quota | None = None) -> str:
    """Make a tenant and return its key."""
    settings = Settings(
        data_dir=place.folder / "bench",
        database_url=place.mysql_url,
        store_url=f"file://{place.folder / 'objects'}",
    )
    async with open_platform(settings) as platform:
        now, secret = platform.clock.now(), new_secret()
        tenant = Tenant(id=platform.ids.new("ten"), name=name, created_at=now)
        key = ApiKey(
            id=platform.ids.new("key"),
            tenant_id=tenant.id,
            name="bench",
            secret_hash=hash_secret(secret),
            created_at=now,
        )
        await platform.keys.add_tenant(tenant)
        await platform.keys.add_key(key)
        if quota is not None:
            await platform.quotas.set(tenant.id, quota)
        return key_text(key.id, secret)


async def fair(place: Place, options: argparse.Namespace) -> Fair:
    """Measure a light tenant beside a heavy one."""
    light = await make_key(place, "light")
    heavy = await make_key(place, "heavy", Quota(max_running=CAP))
    return await measure_fair(
        place, light, heavy, queued=options.fair_queued, tasks=options.fair_tasks
    )


async def sandboxes(options: argparse.Namespace) -> SandboxFigures:
    """Measure sandboxes alone: they need no servers."""
    only = options.only == "neighbours"
    return await measure_sandboxes(options.sandbox_rounds, neighbours=only)


async def cancelled(place: Place, options: argparse.Namespace) -> Cancel:
    """Measure how soon cancelled tasks are over."""
    return await measure_cancel(place, await make_key(place, "cancel"), options.cancels)


async def broker(place: Place, options: argparse.Namespace) -> Broker:
    """Measure what is there without Kafka."""
    return await measure_broker(place, await make_key(place, "broker"), options.broker_seconds)


async def beats(place: Place, options: argparse.Namespace) -> Beats:
    """Measure what leases cost."""
    return await measure_beats(place)


async def adoption(place: Place, options: argparse.Namespace) -> Adoption:
    """Measure how soon a killed worker's attempts have another owner; nothing else may be queued."""
    key = await make_key(place, "adoption")
    return await measure_adoption(place, key, attempts=options.adoption_attempts)


async def uploads(place: Place, options: argparse.Namespace) -> Uploads:
    """Measure zips into the object store."""
    return await measure_uploads(place, await make_key(place, "uploads"), options.rounds)


async def watchers(place: Place, options: argparse.Namespace) -> Watchers:
    """Measure how soon those who follow tasks hear of what happens."""
    return await measure_watchers(place, await make_key(place, "watchers"))


async def gateway(place: Place, options: argparse.Namespace) -> GatewayFigures:
    """Measure what a gateway adds to model calls."""
    return await measure_gateway(place)


async def throughput(place: Place, options: argparse.Namespace) -> Throughput:
    """Measure submits and polls against the plain way."""
    contest = Contest(connections=options.connections, seconds=options.seconds)
    return await contest.run(place, await make_key(place, "throughput"), options.rounds)


PARTS: dict[str, Callable[[Place, argparse.Namespace], Awaitable[Judged]]] = {
    "throughput": throughput,
    "fair": fair,
    "cancel": cancelled,
    "beats": beats,
    "broker": broker,
    "adoption": adoption,
    "uploads": uploads,
    "watchers": watchers,
    "gateway": gateway,
}
"""What can be measured alone, on the servers."""


async def main(options: argparse.Namespace) -> None:
    if options.only in OF_SANDBOXES:
        say(await sandboxes(options))
    elif options.only == "agent":
        say(await measure_agent())
    elif options.only == "pages":
        say(await measure_pages(options.page_rounds))
    elif options.only == "cluster":
        say(await measure_cluster(options.sandbox_rounds))
    elif options.only:
        async with opened() as place:
            measured = await PARTS[options.only](place, options)
        say(measured)
    else:
        await everything(options)


async def everything(options: argparse.Namespace) -> None:
    """Measure all, and keep the report."""
    local = await sandboxes(options)
    agents = await measure_agent()
    async with opened() as place:
        adopted = await adoption(place, options)
    async with opened() as place:
        key = await make_key(place)
        rates = [(rate, options.dispatch_seconds) for rate in (SLOW_RATE, options.rate)]
        report = Report(
            throughput=await throughput(place, options),
            dispatch=await measure(place, key, rates),
            sandboxes=local,
            agents=agents,
            fair=await fair(place, options),
            cancel=await cancelled(place, options),
            beats=await beats(place, options),
            broker=await broker(place, options),
            adoption=adopted,
            uploads=await uploads(place, options),
            watchers=await watchers(place, options),
            gateway=await gateway(place, options),
        )
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "report.json").write_text(report.model_dump_json(indent=1))
    (REPORT / "report.md").write_text(report.text())
    print(report.text())
    print("make bench: measured; the report is in build/bench/report.md and report.json")
    judge(*report.judged)


def say(measured: Judged) -> None:
    """Print one part's figures, and judge them."""
    print(measured.text())
    judge(measured)


def judge(*measured: Judged) -> None:
    """End with an error when a figure is not as it must be."""
    missed = [each for one in measured for each in one.missed]
    if missed:
        raise SystemExit(f"make bench: missed: {'; '.join(missed)}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--connections", type=int, default=64, help="of who submits and polls")
    parser.add_argument("--sandbox-rounds", type=int, default=7)
    parser.add_argument(
        "--only",
        choices=[*OF_SANDBOXES, "agent", "pages", "cluster", *PARTS],
        help="measure this alone",
    )
    parser.add_argument("--page-rounds", type=int, default=3, help="how often each page is opened")
    parser.add_argument("--fair-queued", type=int, default=1000, help="of the heavy tenant")
    parser.add_argument("--fair-tasks", type=int, default=50, help="of the light tenant")
    parser.add_argument("--cancels", type=int, default=20, help="of each kind")
    parser.add_argument("--broker-seconds", type=float, default=20.0, help="without Kafka")
    parser.add_argument("--adoption-attempts", type=int, default=100, help="of the killed worker")
    parser.add_argument("--rate", type=float, default=20.0, help="submits per second for dispatch")
    parser.add_argument("--dispatch-seconds", type=float, default=10.0)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(read_options()))
