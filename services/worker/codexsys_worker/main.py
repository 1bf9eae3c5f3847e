"""The worker: claims attempts and sees them through."""

import random

from codexsys_core.attempt import Heir
from codexsys_core.sandbox import SandboxBackend
from codexsys_core.vigil import Vigil
from codexsys_wiring import service
from codexsys_wiring.folders import Folders
from codexsys_wiring.health import Health
from codexsys_wiring.instructions import agent_instructions
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.provision import setup_provision
from codexsys_wiring.sandbox import proven_backend, with_sandbox
from codexsys_wiring.service import Repeat, Service, serve
from codexsys_wiring.settings import Settings, load_settings
from codexsys_wiring.telemetry import configure_telemetry
from codexsys_worker.admission import EveryTenant, FirstTenant
from codexsys_worker.adopt import Adopter
from codexsys_worker.approval import Approvals
from codexsys_worker.asking import Asking
from codexsys_worker.baselines import Baselines
from codexsys_worker.beat import Beat
from codexsys_worker.caps import Caps
from codexsys_worker.claim import Claimer
from codexsys_worker.copying import Lines
from codexsys_worker.finish import Finisher
from codexsys_worker.intake import Intake
from codexsys_worker.keep import Keeper
from codexsys_worker.layers import LayerNames
from codexsys_worker.life import LIFE, Life
from codexsys_worker.patience import PatientObjects
from codexsys_worker.preflight import Preflight
from codexsys_worker.prepare import Preparer
from codexsys_worker.reconcile import Reconciler
from codexsys_worker.retries import Retries
from codexsys_worker.room import Rooms
from codexsys_worker.setup import Setups

RECONCILE_SECONDS = 5.0


def worker_services(platform: Platform, backend: SandboxBackend) -> list[Service]:
    """Build one worker from ports."""
    settings = platform.settings
    lease = settings.lease_seconds
    caps = Caps(quotas=platform.quotas)
    # A beat that fails comes again soon: who has heard nothing for half a lease was away himself.
    vigil = Vigil(clock=platform.clock, quiet_seconds=lease / 2, wait_seconds=lease)
    beat = Beat(
        attempts=platform.attempts,
        hints=platform.hints,
        clock=platform.clock,
        caps=caps,
        vigil=vigil,
        owner=platform.ids.new("wrk"),
        lease_seconds=lease,
    )
    claimer = Claimer(
        attempts=platform.attempts,
        ready=platform.ready,
        life=_life(platform, backend),
        beat=beat,
        adopter=Adopter(
            orphans=platform.orphans,
            beat=beat,
            vigil=vigil,
            clock=platform.clock,
            heir=Heir(owner=beat.owner, place=backend.place, life=LIFE, lease_seconds=lease),
            slots=settings.worker_slots,
        ),
        caps=caps,
        folders=Folders(settings.data_dir / "work"),
        slots=settings.worker_slots,
        lease_seconds=lease,
    )
    reconciler = Reconciler(sandboxes=platform.sandboxes, backend=backend)
    return [
        claimer,
        beat,
        Intake(queue=platform.queue, ready=platform.ready),
        Repeat(reconciler.once, seconds=RECONCILE_SECONDS, name="reconcile"),
    ]


def _life(platform: Platform, backend: SandboxBackend) -> Life:
    objects = PatientObjects(platform.objects, seconds=platform.settings.store_patience_seconds)
    setups = _setups(platform, backend)
    asking = Asking(questions=platform.questions, ids=platform.ids, redactor=platform.redactor)
    return Life(
        attempts=platform.attempts,
        events=platform.events,
        preparer=_preparer(platform, objects),
        setups=setups,
        admission=FirstTenant(keys=platform.keys) if backend.unenforced else EveryTenant(),
        bench=platform.bench,
        finisher=_finisher(platform, objects, isolated=setups.isolated),
        retries=Retries(
            attempts=platform.attempts,
            ids=platform.ids,
            first_seconds=platform.settings.retry_seconds,
            chance=random.random,
        ),
        keeper=Keeper(
            checkpoints=platform.checkpoints,
            objects=objects,
            bench=platform.bench,
            clock=platform.clock,
            ids=platform.ids,
        ),
        asking=asking,
        preflight=Preflight(
            sandboxes=platform.sandboxes,
            events=platform.events,
            calls=platform.model_calls,
            asking=asking,
            bench=platform.bench,
            clock=platform.clock,
            ids=platform.ids,
        ),
        baselines=Baselines(objects=objects),
        approvals=Approvals(objects=objects, bench=platform.bench),
        instructions=agent_instructions(platform.settings),
    )


def _preparer(platform: Platform, objects: PatientObjects) -> Preparer:
    return Preparer(
        attempts=platform.attempts,
        tasks=platform.tasks,
        objects=objects,
        artifacts=platform.artifacts,
        checkpoints=platform.checkpoints,
        git=platform.git,
        zips=platform.zips,
        bench=platform.bench,
    )


def _setups(platform: Platform, backend: SandboxBackend) -> Setups:
    rooms = Rooms(
        sandboxes=platform.sandboxes,
        backend=backend,
        lines=Lines(logs=platform.logs, hints=platform.hints),
        clock=platform.clock,
        ids=platform.ids,
        kind=platform.settings.sandbox,
        life=LIFE,
    )
    return Setups(
        rooms=rooms,
        secrets=platform.secrets,
        operator=setup_provision(platform.settings),
        names=LayerNames(
            secrets=platform.secrets,
            clock=platform.clock,
            place=f"{platform.settings.sandbox} {backend.place}",
            hours=platform.settings.setup_cache_hours,
        ),
    )


def _finisher(platform: Platform, objects: PatientObjects, *, isolated: bool) -> Finisher:
    return Finisher(
        attempts=platform.attempts,
        objects=objects,
        logs=platform.logs,
        outbox=platform.outbox,
        queue=platform.queue,
        isolated=isolated,
    )


async def run(settings: Settings) -> None:
    """Work until told to stop."""
    settings.refuse_memory("worker")
    settings = with_sandbox(settings)
    # What it has begun is not given up because its database is away: nobody else takes it then.
    async with open_platform(settings, patient=True) as platform:
        backend = await proven_backend(settings)
        await serve(*worker_services(platform, backend), Health(platform))


def main() -> None:
    """Start a worker alone."""
    settings = load_settings()
    configure_telemetry(settings, service="worker")
    service.run(run(settings))
