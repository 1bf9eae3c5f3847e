"""What the servers and this host hold, read with plain drivers: the checker's only sources beside the history."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncmy
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from asyncmy.cursors import DictCursor
from minio import Minio
from tests.chaos.leftovers import left, left_of

Row = dict[str, Any]
TABLES = (
    "tasks",
    "attempts",
    "sandboxes",
    "events",
    "log_streams",
    "log_chunks",
    "artifacts",
    "checkpoints",
    "idempotency_keys",
    "task_labels",
    "reservations",
)
RESULTS = "codex-results"
_MOVING = {
    "task": "SELECT id, status AS state FROM tasks WHERE finished_at IS NULL OR result_due_at IS NOT NULL",
    "sandbox": "SELECT id, state FROM sandboxes WHERE state <> 'ended' OR destroyed_at IS NULL",
}


@dataclass(frozen=True)
class Where:
    """Where to look."""

    mysql: str
    s3: str
    s3_key: str
    s3_secret: str
    suffix: str
    kafka: str
    hosts: Path
    """The folder that holds each service's data folder."""
    beside: Callable[[], list[str]] = list
    """What is left elsewhere."""


@dataclass
class Evidence:
    """All rows, the names of all objects, all result records, folders and processes."""

    rows: dict[str, list[Row]]
    objects: dict[str, int]
    left: list[str]
    """Folders and processes of sandboxes and works."""
    results: list[Row] = field(default_factory=list)

    def of(self, table: str, task_id: str) -> list[Row]:
        """Return a task's rows."""
        return self._by_task(table).get(task_id, [])

    def label(self, task_id: str, name: str) -> str | None:
        """Return what a client wrote on its task."""
        labels = {row["name"]: str(row["value"]) for row in self.of("task_labels", task_id)}
        return labels.get(name)

    def _by_task(self, table: str) -> dict[str, list[Row]]:
        index: dict[str, dict[str, list[Row]]] = self.__dict__.setdefault("_index", {})
        if table not in index:
            index[table] = {}
            for row in self.rows[table]:
                index[table].setdefault(row["task_id"], []).append(row)
        return index[table]


async def rows(where: Where) -> dict[str, list[Row]]:
    """Read every table whole."""
    return await selected(where, {table: f"SELECT * FROM {table}" for table in TABLES})


async def moving(where: Where) -> list[str]:
    """Return what is not at rest, by the rows and on this host; cheap, however many tasks there were."""
    found = await selected(where, _MOVING)
    told = [f"{kind} {row['id']} {row['state']}" for kind in _MOVING for row in found[kind]]
    return told or await asyncio.to_thread(left, where.hosts)


async def finished_between(where: Where, begun: datetime, ended: datetime) -> int:
    """Count the ends of tasks in a span of time."""
    span = f"finished_at BETWEEN '{begun:%F %T.%f}' AND '{ended:%F %T.%f}'"
    found = await selected(where, {"ends": f"SELECT count(*) AS ends FROM tasks WHERE {span}"})
    return int(found["ends"][0]["ends"])


async def selected(where: Where, statements: Mapping[str, str]) -> dict[str, list[Row]]:
    """Read in one snapshot."""
    url = urlsplit(where.mysql)
    connection = await asyncmy.connect(
        host=url.hostname,
        port=url.port,
        user=url.username,
        password=url.password,
        db=url.path.strip("/"),
    )
    try:
        async with connection.cursor(DictCursor) as cursor:
            await cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            found = {}
            for name, statement in statements.items():
                await cursor.execute(statement)
                found[name] = list(await cursor.fetchall())
            await cursor.execute("ROLLBACK")
        return found
    finally:
        connection.close()


def store(where: Where) -> Minio:
    """Return a client of the object store."""
    host = urlsplit(where.s3).netloc
    return Minio(host, access_key=where.s3_key, secret_key=where.s3_secret, secure=False)


def objects(where: Where) -> dict[str, int]:
    """List every object of the run as `bucket/name`, the suffix of the bucket taken off."""
    client, found = store(where), {}
    for bucket in client.list_buckets():
        if bucket.name.endswith(where.suffix):
            plain = bucket.name.removesuffix(where.suffix)
            for item in client.list_objects(bucket.name, recursive=True):
                found[f"{plain}/{item.object_name}"] = int(item.size or 0)
    return found


def digest(client: Minio, where: Where, name: str) -> tuple[int, str]:
    """Read an object; return its size and sha256."""
    data = content(client, where, name)
    return len(data), hashlib.sha256(data).hexdigest()


def content(client: Minio, where: Where, name: str) -> bytes:
    """Read an object."""
    bucket, _, key = name.partition("/")
    answer = client.get_object(bucket + where.suffix, key)
    try:
        return bytes(answer.read())
    finally:
        answer.close()
        answer.release_conn()


async def results(where: Where, seconds: float) -> list[Row]:
    """Read `codex-results` from what is kept of it to its end."""
    consumer = AIOKafkaConsumer(
        RESULTS + where.suffix,
        bootstrap_servers=where.kafka,
        auto_offset_reset="earliest",
        group_id=None,
    )
    found: list[Row] = []
    async with asyncio.timeout(seconds):
        await consumer.start()
        try:
            while not consumer.assignment():  # noqa: ASYNC110 - the driver tells nobody
                await asyncio.sleep(0.1)
            ends = await consumer.end_offsets(list(consumer.assignment()))
            while True:
                batch = await consumer.getmany(timeout_ms=200)
                found += [json.loads(record.value) for part in batch.values() for record in part]
                places = [await consumer.position(part) >= end for part, end in ends.items()]
                if all(places):
                    return found
        finally:
            await consumer.stop()


async def some_results(where: Where, seconds: float) -> list[Row]:
    """Return the results, none when there is no such topic (yet)."""
    try:
        return await results(where, seconds)
    except (KafkaError, TimeoutError):
        return []


async def gathered(where: Where) -> Evidence:
    """Look at everything but the results."""
    found, names, still = await asyncio.gather(
        rows(where), asyncio.to_thread(objects, where), asyncio.to_thread(left, where.hosts)
    )
    ours = {row["id"] for row in found["sandboxes"]}
    still += await asyncio.to_thread(left_of, ours) + await asyncio.to_thread(where.beside)
    return Evidence(rows=found, objects=names, left=still)
