"""The queue and the object store, each chosen by its URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from codexsys_adapters.files import FileObjects
from codexsys_adapters.memory import MemoryQueue
from codexsys_core.announcement import Queue
from codexsys_core.artifact import ObjectStore, UploadForms
from codexsys_core.clock import Clock
from codexsys_wiring.settings import ConfigurationError, Settings


class LocalObjects(Protocol):
    """The file store's own links and forms, which the API answers itself."""

    def verify(self, token: str) -> tuple[str, str, str]:
        """Return (object name, file name, content type); raises `NotFound` for bad and old tokens."""

    def verify_form(self, token: str) -> tuple[str, int]:
        """Return (object name, most bytes); raises `NotFound` for bad and old tokens."""


class _Store(ObjectStore, UploadForms, Protocol):
    """Both ports of one object store."""


@asynccontextmanager
async def open_queue(settings: Settings, clock: Clock) -> AsyncIterator[Queue]:
    if settings.queue_url == "memory:":
        yield MemoryQueue()
        return
    if not settings.queue_url.startswith("kafka://"):
        raise ConfigurationError(["CODEXSYS_QUEUE_URL: neither memory: nor kafka://host:port"])
    from codexsys_adapters.kafka import KafkaQueue

    async with KafkaQueue(
        bootstrap=settings.queue_url.removeprefix("kafka://"),
        clock=clock,
        suffix=settings.queue_suffix,
    ) as queue:
        yield queue


@asynccontextmanager
async def open_objects(
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
