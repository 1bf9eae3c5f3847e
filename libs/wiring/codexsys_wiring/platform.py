"""Open the platform: the one place that chooses adapters, each port by one URL."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from codexsys_adapters.aes_gcm import AesGcmSecrets
from codexsys_adapters.disks.alone import alone
from codexsys_adapters.files import FileObjects
from codexsys_adapters.gateway_calls import GatewayCalls
from codexsys_adapters.git import FetchLimits, GitFetcher, GitPatchBench
from codexsys_adapters.memory import MemoryQueue
from codexsys_adapters.outbound import Outbound
from codexsys_adapters.redis import RedisHints, RedisRates, RedisReadySet, open_redis
from codexsys_adapters.sql.artifacts import SqlArtifacts
from codexsys_adapters.sql.attempts.adoption import SqlOrphans
from codexsys_adapters.sql.attempts.checkpoints import SqlCheckpoints
from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.census import SqlCensus
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.events import SqlEvents
from codexsys_adapters.sql.logs import SqlLogs
from codexsys_adapters.sql.migrations import upgrade
from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_adapters.sql.quick import Reads
from codexsys_adapters.sql.retention import SqlRetention
from codexsys_adapters.sql.shares import SqlShares
from codexsys_adapters.sql.talk.messages import SqlMessages
from codexsys_adapters.sql.talk.questions import SqlQuestions
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_adapters.sql.tenants.environments import SqlEnvironments
from codexsys_adapters.sql.tenants.keys import SqlKeys
from codexsys_adapters.sql.tenants.quotas import SqlQuotas
from codexsys_adapters.sql.tenants.uploads import SqlUploads
from codexsys_adapters.sql.usage import SqlUsage
from codexsys_adapters.sql.wallets import SqlWallet
from codexsys_adapters.zips.adapter import Zips
from codexsys_adapters.zips.rules import ZipLimits
from codexsys_core import source
from codexsys_core.announcement import Outbox, Queue
from codexsys_core.artifact import ArtifactStore, ObjectStore, UploadForms
from codexsys_core.attempt import AttemptStore, Orphans
from codexsys_core.catalogue import Catalogue
from codexsys_core.census import CensusStore
from codexsys_core.checkpoint import CheckpointStore
from codexsys_core.clock import Clock, SystemClock
from codexsys_core.errors import PlatformError
from codexsys_core.event import EventStore
from codexsys_core.ids import Ids, TimeOrderedIds
from codexsys_core.log import LogStore, Redactor
from codexsys_core.message import MessageStore
from codexsys_core.named_environment import EnvironmentStore
from codexsys_core.patch import PatchBench
from codexsys_core.preflight import ModelCalls
from codexsys_core.principal import KeyStore, TenantStore
from codexsys_core.question import QuestionStore
from codexsys_core.quota import QuotaStore
from codexsys_core.rate import OwnRates, Rates, SteadyRates
from codexsys_core.ready import Hints, ReadySet
from codexsys_core.redaction import SecretRedactor
from codexsys_core.retention import RetentionStore
from codexsys_core.sandbox import SandboxStore
from codexsys_core.secret import SecretBox
from codexsys_core.share import ShareStore
from codexsys_core.task import TaskStore
from codexsys_core.upload import UploadStore
from codexsys_core.usage import UsageStore
from codexsys_core.wallet import DayLimits, Wallet
from codexsys_wiring.crash import crashing_platform
from codexsys_wiring.models import known_keys, read_catalogue
from codexsys_wiring.settings import ConfigurationError, Settings

READY_SECONDS = 1.2
"""A part that has not answered by then does not answer."""
ANSWER_SECONDS = 10.0


class LocalObjects(Protocol):
    """The file store's own links and forms, which the API answers itself."""

    def verify(self, token: str) -> tuple[str, str, str]:
        """Return (object name, file name, content type); raises `NotFound` for bad and old tokens."""

    def verify_form(self, token: str) -> tuple[str, int]:
        """Return (object name, most bytes); raises `NotFound` for bad and old tokens."""


class _Keys(TenantStore, KeyStore, Protocol):
    """Both ports of one store."""


class _Store(ObjectStore, UploadForms, Protocol):
    """Both ports of one object store."""


@dataclass(frozen=True)
class Platform:
    """Every port, opened. Services take what they need from here."""

    settings: Settings
    secret_key: bytes
    secrets: SecretBox
    clock: Clock
    ids: Ids
    keys: _Keys
    quotas: QuotaStore
    census: CensusStore
    retention: RetentionStore
    questions: QuestionStore
    messages: MessageStore
    environments: EnvironmentStore
    uploads: UploadStore
    tasks: TaskStore
    attempts: AttemptStore
    orphans: Orphans
    outbox: Outbox
    sandboxes: SandboxStore
    events: EventStore
    logs: LogStore
    artifacts: ArtifactStore
    shares: ShareStore
    wallet: Wallet
    usage: UsageStore
    checkpoints: CheckpointStore
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
    key = secret_key(settings)
    if settings.database.startswith("sqlite:"):
        await upgrade(settings.database)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            Database(
                settings.database,
                answer_seconds=_patience(settings, answer_seconds),
                patient=patient,
            )
        )
        redis = await stack.enter_async_context(open_redis(settings.redis_url))
        queue = await stack.enter_async_context(_queue(settings, clock))
        objects, local = await stack.enter_async_context(
            _objects(settings, key, clock, answer_seconds)
        )
        outbound = Outbound(
            allow_networks=settings.allow_networks, allow_http=settings.allow_http_git
        )
        redactor, reads = _redactor(settings, git_logins), Reads(database)
        platform = Platform(
            settings=settings,
            secret_key=key,
            secrets=AesGcmSecrets(key),
            clock=clock,
            ids=ids,
            keys=SqlKeys(database=database, reads=reads),
            quotas=SqlQuotas(database=database, max_running=settings.tenant_max_running),
            census=SqlCensus(database=database),
            retention=SqlRetention(database=database),
            questions=SqlQuestions(database=database),
            messages=SqlMessages(database=database),
            environments=SqlEnvironments(database=database),
            uploads=SqlUploads(database=database),
            tasks=SqlTasks(database=database, reads=reads, max_queued=settings.tenant_max_queued),
            attempts=SqlAttempts(database=database, max_running=settings.tenant_max_running),
            orphans=SqlOrphans(database=database),
            outbox=SqlOutbox(database=database),
            sandboxes=SqlSandboxes(database=database),
            events=SqlEvents(database=database),
            logs=SqlLogs(database=database, redactor=redactor),
            artifacts=SqlArtifacts(database=database),
            shares=SqlShares(database=database),
            wallet=SqlWallet(database=database, ids=ids, clock=clock, limits=_day_limits(settings)),
            usage=SqlUsage(database=database),
            checkpoints=SqlCheckpoints(database=database),
            queue=queue,
            ready=RedisReadySet(redis),
            hints=RedisHints(redis),
            rates=SteadyRates(shared=RedisRates(redis), own=OwnRates(clock=clock), clock=clock),
            objects=objects,
            forms=objects,
            local_objects=local,
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


def _day_limits(settings: Settings) -> DayLimits:
    return DayLimits(
        max_usd_per_day=settings.tenant_max_usd_per_day,
        max_tokens_per_day=settings.tenant_max_tokens_per_day,
    )


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
    await upgrade(settings.database)


def secret_key(settings: Settings) -> bytes:
    """Return the signing key, made on first start and kept for this user alone."""
    given = settings.secret_key.get_secret_value()
    if given:
        return given.encode()
    path = settings.data_dir / "secret_key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(path.parent):  # services that start together have one
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(32))
            draft.rename(path)
    return path.read_bytes()


@asynccontextmanager
async def _queue(settings: Settings, clock: Clock) -> AsyncIterator[Queue]:
    if settings.queue_url == "memory:":
        yield MemoryQueue()
        return
    if not settings.queue_url.startswith("kafka://"):
        raise ConfigurationError(["CODEXSYS_QUEUE_URL: neither memory: nor kafka://host:port"])
    from codexsys_adapters.kafka import KafkaQueue

    async with KafkaQueue(
        bootstrap=settings.queue_url.removeprefix("kafka://"), clock=clock
    ) as queue:
        yield queue


@asynccontextmanager
async def _objects(
    settings: Settings, key: bytes, clock: Clock, silence_seconds: float
) -> AsyncIterator[tuple[_Store, LocalObjects | None]]:
    url = urlsplit(settings.store)
    if url.scheme == "file":
        files = FileObjects(
            root=Path(url.path), public_url=settings.api_url, secret_key=key, clock=clock
        )
        yield files, files
        return
    if url.scheme != "s3":
        raise ConfigurationError(["CODEXSYS_STORE_URL: neither file:///path nor s3://host:port"])
    from codexsys_adapters.s3 import S3Objects

    store = S3Objects(
        url=settings.store,
        access_key=settings.store_key,
        secret_key=settings.store_secret.get_secret_value(),
        public_url=settings.store_public_url,
        bucket_suffix=settings.store_bucket_suffix,
        clock=clock,
        silence_seconds=silence_seconds,
    )
    async with store as objects:
        yield objects, None
