"""A place of the benchmark's own on the real servers, which leaves nothing behind."""

import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from minio import Minio
from redis.asyncio import Redis
from sqlalchemy import make_url, text

from codexsys_adapters.kafka.producer import make_topics
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.migrations import upgrade
from codexsys_core.announcement import DEAD_TOPIC, RESULTS_TOPIC, TASKS_TOPIC
from codexsys_core.artifact import BUCKETS

NAMES = ("MYSQL_URL", "REDIS_URL", "KAFKA", "S3_URL", "S3_KEY", "S3_SECRET")
REDIS_DATABASE = "/15"
PARTITIONS = 8


@dataclass(frozen=True)
class Place:
    """One database, one set of topics, one Redis database, two buckets, one folder."""

    name: str
    mysql_url: str
    redis_url: str
    kafka: str
    s3_url: str
    s3_key: str
    s3_secret: str
    folder: Path

    @property
    def suffix(self) -> str:
        return f"-{self.name}"

    @property
    def plain_topic(self) -> str:
        return f"plain-tasks-{self.name}"

    @property
    def tasks_topic(self) -> str:
        return TASKS_TOPIC + self.suffix

    @property
    def store_url(self) -> str:
        return f"s3://{urlsplit(self.s3_url).netloc}?style=path&tls=0"

    async def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        """Ask the database."""
        async with Database(self.mysql_url, pool_size=1) as database, database.read() as connection:
            return (await connection.execute(text(statement), values)).all()

    async def records(self, topic: str) -> int:
        """Count what a topic holds."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            return sum((await consumer.end_offsets(places)).values())
        finally:
            await consumer.stop()


@asynccontextmanager
async def opened() -> AsyncIterator[Place]:
    """Make the place; remove it at the end."""
    given = {name: os.environ.get(f"CODEXSYS_TEST_{name}", "") for name in NAMES}
    missing = [f"CODEXSYS_TEST_{name}" for name, value in given.items() if not value]
    if missing:
        raise SystemExit(f"the benchmark needs the real servers; not set: {', '.join(missing)}")
    name = f"bench{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="codexsys-bench-") as folder:
        place = Place(
            name=name,
            mysql_url=make_url(given["MYSQL_URL"])
            .set(database=name)
            .render_as_string(hide_password=False),
            redis_url=given["REDIS_URL"].rpartition("/")[0] + REDIS_DATABASE,
            kafka=given["KAFKA"],
            s3_url=given["S3_URL"],
            s3_key=given["S3_KEY"],
            s3_secret=given["S3_SECRET"],
            folder=Path(folder),
        )
        await _statement(given["MYSQL_URL"], f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            await upgrade(place.mysql_url)
            await make_topics(place.kafka, {place.plain_topic: PARTITIONS}, 1)
            await _flush(place)
            yield place
        finally:
            await _statement(given["MYSQL_URL"], f"DROP DATABASE {name}")
            await _flush(place)
            await _drop_topics(place)
            _drop_buckets(place)


async def _statement(url: str, statement: str) -> None:
    async with Database(url, pool_size=1) as server, server.write() as connection:
        await connection.execute(text(statement))


async def _flush(place: Place) -> None:
    redis = Redis.from_url(place.redis_url)
    await redis.flushdb()
    await redis.aclose()


async def _drop_topics(place: Place) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=place.kafka)
    await admin.start()
    try:
        own = [place.plain_topic]
        own += [topic + place.suffix for topic in (TASKS_TOPIC, RESULTS_TOPIC, DEAD_TOPIC)]
        await admin.delete_topics([name for name in await admin.list_topics() if name in own])
    finally:
        await admin.close()


def _drop_buckets(place: Place) -> None:
    client = Minio(
        urlsplit(place.s3_url).netloc,
        access_key=place.s3_key,
        secret_key=place.s3_secret,
        secure=False,
    )
    for bucket in (name + place.suffix for name in BUCKETS):
        if client.bucket_exists(bucket):
            for found in client.list_objects(bucket, recursive=True):
                client.remove_object(bucket, str(found.object_name))
            client.remove_bucket(bucket)
