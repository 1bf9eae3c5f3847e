"""Open the platform: the one place that chooses adapters, each port by one URL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from codexsys_adapters.aes_gcm import AesGcmSecrets
from codexsys_adapters.gateway_calls import GatewayCalls
from codexsys_adapters.git import FetchLimits, GitFetcher, GitPatchBench
from codexsys_adapters.outbound import Outbound
from codexsys_adapters.redis import RedisHints, RedisRates, RedisReadySet, open_redis
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.zips.adapter import Zips
from codexsys_adapters.zips.rules import ZipLimits
from codexsys_core import source
from codexsys_core.announcement import Queue
from codexsys_core.artifact import ObjectStore, UploadForms
from codexsys_core.catalogue import Catalogue
from codexsys_core.clock import Clock, SystemClock
from codexsys_core.errors import PlatformError
from codexsys_core.ids import Ids, TimeOrderedIds
from codexsys_core.log import Redactor
from codexsys_core.patch import PatchBench
from codexsys_core.preflight import ModelCalls
from codexsys_core.rate import OwnRates, Rates, SteadyRates
from codexsys_core.ready import Hints, ReadySet
from codexsys_core.redaction import SecretRedactor
from codexsys_core.secret import SecretBox
from codexsys_wiring.by_url import LocalObjects, open_objects, open_queue
from codexsys_wiring.crash import crashing_platform
from codexsys_wiring.models import known_keys, read_catalogue
from codexsys_wiring.secret_key import secret_key
from codexsys_wiring.settings import Settings
from codexsys_wiring.stores import Stores, stores_on

READY_SECONDS = 1.2
"""A part that has not answered by then does not answer."""
ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Platform(Stores):
    """Every port, opened. Services take what they need from here."""

    settings: Settings
    secret_key: bytes
    secrets: SecretBox
    clock: Clock
    ids: Ids
    queue: Queue
    ready: ReadySet
    hints: Hints
    rates: Rates
    objects: ObjectStore
    forms: UploadForms
    local_objects: LocalObjects | None
    outbound: Outbound
    catalogue: Catalogue
    model_calls: ModelCalls
    git: source.GitFetcher
    zips: source.ZipReader
    bench: PatchBench
    redactor: Redactor
    database: Database

    async def check(self) -> dict[str, str]:
        """Ask all parts at once whether they answer; return the problems by part."""
        parts: dict[str, _Part] = {
            "database": self.database,
            "queue": self.queue,
            "redis": self.hints,
            "store": self.objects,
        }
        problems = await asyncio.gather(*(_problem(part) for part in parts.values()))
        return {name: said for name, said in zip(parts, problems, strict=True) if said}


class _Part(Protocol):
    async def ready(self) -> None: ...


async def _problem(part: _Part) -> str:
    """Return what is wrong with a part, in our own words; nothing when it answers."""
    try:
        await asyncio.wait_for(part.ready(), READY_SECONDS)
    except TimeoutError:
        return f"It did not answer within {READY_SECONDS:g} seconds."
    except PlatformError as error:
        return error.message
    except Exception as error:
        return f"It failed: {type(error).__name__}."
    return ""


@asynccontextmanager
async def open_platform(
    settings: Settings,
    *,
    answer_seconds: float = ANSWER_SECONDS,
    patient: bool = False,
    git_logins: Sequence[source.GitLogin] = (),
) -> AsyncIterator[Platform]:
    """Open every part; raises `ConfigurationError` or `Unavailable`.

    `answer_seconds` is how long the service waits for a database or a store that says nothing; one
    that is `patient` then asks the database again, for as long as it takes. Who has `git_logins` has
    one tenant.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    clock, ids, catalogue = SystemClock(), TimeOrderedIds(), read_catalogue(settings)
    key, redactor = secret_key(settings), _redactor(settings, git_logins)
    if settings.database.startswith("sqlite:"):
        await _upgrade(settings)
    seconds = _patience(settings, answer_seconds)
    async with (
        Database(settings.database, answer_seconds=seconds, patient=patient) as database,
        open_redis(settings.redis_url) as redis,
        open_queue(settings, clock) as queue,
        open_objects(settings, key, clock, answer_seconds) as (objects, local_objects),
    ):
        stores = stores_on(database, settings, clock=clock, ids=ids, redactor=redactor)
        outbound = Outbound(
            allow_networks=settings.allow_networks, allow_http=settings.allow_http_git
        )
        platform = Platform(
            **vars(stores),
            settings=settings,
            secret_key=key,
            secrets=AesGcmSecrets(key),
            clock=clock,
            ids=ids,
            queue=queue,
            ready=RedisReadySet(redis),
            hints=RedisHints(redis),
            rates=SteadyRates(shared=RedisRates(redis), own=OwnRates(clock=clock), clock=clock),
            objects=objects,
            forms=objects,
            local_objects=local_objects,
            outbound=outbound,
            catalogue=catalogue,
            model_calls=GatewayCalls(urls=settings.gateway_urls, sockets=settings.sockets),
            git=_git(settings, outbound, git_logins),
            zips=Zips(limits=ZipLimits(total_bytes=settings.max_source_mb << 20)),
            bench=GitPatchBench(),
            redactor=redactor,
            database=database,
        )
        yield crashing_platform(platform)


def _redactor(settings: Settings, logins: Sequence[source.GitLogin]) -> SecretRedactor:
    known = (settings.store_secret, settings.secret_key, *(login.password for login in logins))
    return SecretRedactor([*(value.get_secret_value() for value in known), *known_keys(settings)])


def _git(settings: Settings, outbound: Outbound, logins: Sequence[source.GitLogin]) -> GitFetcher:
    limits = FetchLimits(tree_bytes=settings.max_source_mb << 20)
    return GitFetcher(outbound=outbound, data_dir=settings.data_dir, limits=limits, logins=logins)


def _patience(settings: Settings, seconds: float) -> float:
    """Return the time for a transaction; those on a file queue behind each other and never hang."""
    return 60.0 if settings.database.startswith("sqlite:") else seconds


async def upgrade_database(settings: Settings) -> None:
    """Bring the tables up to date; raises `Unavailable`."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    await _upgrade(settings)


async def _upgrade(settings: Settings) -> None:
    # Alembic and its dialects take a tenth of a service's start, and few services change tables.
    from codexsys_adapters.sql.migrations import upgrade

    await upgrade(settings.database)
