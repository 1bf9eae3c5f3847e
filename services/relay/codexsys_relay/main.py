"""The relay: looks after rows that wait, and sends results out."""

from codexsys_relay.census import Counting
from codexsys_relay.duties import Expired, Missing, Unanswered, Unpublished
from codexsys_relay.retention import Retention, Terms
from codexsys_wiring import service
from codexsys_wiring.health import Health
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.service import Repeat, Service, serve
from codexsys_wiring.settings import Settings, load_settings
from codexsys_wiring.telemetry import configure_telemetry


def relay_services(platform: Platform) -> list[Service]:
    """Build the relay's loops."""
    settings = platform.settings
    missing = Missing(outbox=platform.outbox, quotas=platform.quotas, ready=platform.ready)
    unpublished = Unpublished(outbox=platform.outbox, queue=platform.queue)
    expired = Expired(
        attempts=platform.attempts,
        wallet=platform.wallet,
        clock=platform.clock,
        lease_seconds=settings.lease_seconds,
        grace_seconds=settings.takeover_grace_seconds,
        quiet_seconds=max(settings.lease_seconds / 3, 2 * settings.relay_seconds),
    )
    counting = Counting(census=platform.census, clock=platform.clock)
    duties = {
        "missing": missing.once,
        "unpublished": unpublished.once,
        "expired": expired.once,
        "unanswered": Unanswered(questions=platform.questions).once,
        "census": counting.once,
    }
    retention = Retention(
        store=platform.retention,
        uploads=platform.uploads,
        objects=platform.objects,
        clock=platform.clock,
        terms=Terms(
            code_days=settings.retention_code_days,
            artifact_days=settings.retention_artifact_days,
            log_days=settings.retention_log_days,
            checkpoints=settings.retention_checkpoints,
        ),
    )
    return [
        *(Repeat(step, seconds=settings.relay_seconds, name=name) for name, step in duties.items()),
        Repeat(retention.once, seconds=settings.retention_seconds, name="retention"),
    ]


async def run(settings: Settings) -> None:
    """Relay until told to stop."""
    settings.refuse_memory("relay")
    async with open_platform(settings) as platform:
        await serve(*relay_services(platform), Health(platform))


def main() -> None:
    """Start the relay alone."""
    settings = load_settings()
    configure_telemetry(settings, service="relay")
    service.run(run(settings))
