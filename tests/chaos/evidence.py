"""What the servers and this host hold, read with plain drivers: the checker's only sources beside the history."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncmy
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from asyncmy.cursors import DictCursor
from minio import Minio

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

    def _by_task(self, table: str) -> dict[str, list[Row]]:
        index: dict[str, dict[str, list[Row]]] = self.__dict__.setdefault("_index", {})
        if table not in index:
            index[table] = {}
            for row in self.rows[table]:
                index[table].setdefault(row["task_id"], []).append(row)
        return index[table]


async def rows(where: Where) -> dict[str, list[Row]]:
    """Read every table whole, in one snapshot."""
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
            for table in TABLES:
                await cursor.execute(f"SELECT * FROM {table}")
                found[table] = list(await cursor.fetchall())
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
        RESULTS, bootstrap_servers=where.kafka, auto_offset_reset="earliest", group_id=None
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


def left(hosts: Path) -> list[str]:
    """List folders of sandboxes and works, and processes that name one of them."""
    found = [str(path) for path in hosts.glob("*/sandboxes/sbx_*")]
    found += [str(path) for path in hosts.glob("*/work/*/work-*")]
    found += [
        str(path) for kind in ("upload", "workspace") for path in hosts.glob(f"*/tmp/*/{kind}-*")
    ]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            folder = str((process / "cwd").readlink())
        except (OSError, UnicodeDecodeError):
            continue  # it has ended meanwhile, or is a kernel thread
        if "sbx_" in command + folder and f"{hosts}/" in command + folder:
            found.append(f"pid {process.name} in {folder}: {command}")
    return found


async def gathered(where: Where) -> Evidence:
    """Look at everything but the results."""
    found, names = await asyncio.gather(rows(where), asyncio.to_thread(objects, where))
    return Evidence(rows=found, objects=names, left=left(where.hosts))
