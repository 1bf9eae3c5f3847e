"""All stores of rows, on one database."""

from dataclasses import dataclass
from typing import Protocol

from codexsys_adapters.sql.attempts.adoption import SqlOrphans
from codexsys_adapters.sql.attempts.checkpoints import SqlCheckpoints
from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.census import SqlCensus
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_adapters.sql.quick import Reads
from codexsys_adapters.sql.record.artifacts import SqlArtifacts
from codexsys_adapters.sql.record.events import SqlEvents
from codexsys_adapters.sql.record.logs import SqlLogs
from codexsys_adapters.sql.record.shares import SqlShares
from codexsys_adapters.sql.retention import SqlRetention
from codexsys_adapters.sql.spending.usage import SqlUsage
from codexsys_adapters.sql.spending.wallets import SqlWallet
from codexsys_adapters.sql.talk.messages import SqlMessages
from codexsys_adapters.sql.talk.questions import SqlQuestions
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_adapters.sql.tenants.environments import SqlEnvironments
from codexsys_adapters.sql.tenants.keys import SqlKeys
from codexsys_adapters.sql.tenants.quotas import SqlQuotas
from codexsys_adapters.sql.tenants.uploads import SqlUploads
from codexsys_core.announcement import Outbox
from codexsys_core.artifact import ArtifactStore
from codexsys_core.attempt import AttemptStore, Orphans
from codexsys_core.census import CensusStore
from codexsys_core.checkpoint import CheckpointStore
from codexsys_core.clock import Clock
from codexsys_core.event import EventStore
from codexsys_core.ids import Ids
from codexsys_core.log import LogStore, Redactor
from codexsys_core.message import MessageStore
from codexsys_core.named_environment import EnvironmentStore
from codexsys_core.principal import KeyStore, TenantStore
from codexsys_core.question import QuestionStore
from codexsys_core.quota import QuotaStore
from codexsys_core.retention import RetentionStore
from codexsys_core.sandbox import SandboxStore
from codexsys_core.share import ShareStore
from codexsys_core.task import TaskStore
from codexsys_core.upload import UploadStore
from codexsys_core.usage import UsageStore
from codexsys_core.wallet import DayLimits, Wallet
from codexsys_wiring.settings import Settings


class _Keys(TenantStore, KeyStore, Protocol):
    """Both ports of one store."""


@dataclass(frozen=True)
class Stores:
    """The ports that rows in the database satisfy."""

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


def stores_on(
    database: Database, settings: Settings, *, clock: Clock, ids: Ids, redactor: Redactor
) -> Stores:
    """Return the stores of a database."""
    reads = Reads(database)
    return Stores(
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
    )


def _day_limits(settings: Settings) -> DayLimits:
    return DayLimits(
        max_usd_per_day=settings.tenant_max_usd_per_day,
        max_tokens_per_day=settings.tenant_max_tokens_per_day,
    )
