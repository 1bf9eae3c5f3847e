"""Objects in two buckets of an S3 server."""

import asyncio
import hashlib
import io
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from email.message import Message
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import PostPolicy
from minio.error import MinioException, S3Error
from typing_extensions import override
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as SilentError

from codexsys_adapters.s3.clients import ANSWER_SECONDS, THREADS, S3Address
from codexsys_adapters.s3.following import Following
from codexsys_adapters.s3.pulse import Pulse
from codexsys_core.artifact import BUCKETS, CODE_BUCKET, Link, UploadForm, split_name
from codexsys_core.clock import Clock
from codexsys_core.errors import Invalid, NotFound, Unavailable
from codexsys_core.growing import GivenUp, Growing

PIECE = 1 << 20
PART = 16 << 20
SLOWEST = 4 << 20
"""Bytes a second of a store that is slow and not away."""
FOLLOWED = THREADS // 4
"""Files that are sent while they grow, at the same time: each has a thread, and waits for its sender."""
SILENT_SECONDS = 3.0
"""Of a server that fell silent while a file was followed: so long it is taken for silent still."""
LARGEST_FORM = 5 << 30
"""What S3 takes in one piece."""
_SILENT = "The object store does not answer."
_FULL = "The object store has no room left."
_FULL_CODES = {"XMinioStorageFull", "InsufficientCapacity", "QuotaExceeded"}

Answer = TypeVar("Answer")


class _Hashing(io.BufferedReader):
    """A file that hashes what is read from it, once and in order, unless its hash is known."""

    def __init__(self, path: Path, known: str) -> None:
        super().__init__(io.FileIO(path))
        self._known = known
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Return the hash of all that was read."""
        return self._known or self._digest.hexdigest()

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not self._known:
            self._digest.update(piece)
        return piece

    @override
    def seek(self, target: int, whence: int = 0, /) -> int:
        """Begin anew, as before a request is sent again."""
        self._digest = hashlib.sha256()
        return super().seek(target, whence)


class S3Objects:
    """`ObjectStore` on S3. The blocking driver runs in threads of its own.

    What takes long is waited for as long as the server answers anything; one that is silent for
    `silence_seconds` is away.
    """

    def __init__(
        self,
        *,
        url: str,
        access_key: str,
        secret_key: str,
        public_url: str,
        clock: Clock,
        bucket_suffix: str = "",
        answer_seconds: float = ANSWER_SECONDS,
        silence_seconds: float = ANSWER_SECONDS,
    ) -> None:
        address = S3Address.parse(url)
        self._pulse = Pulse(address, silence_seconds)
        self._pool = address.pool(answer_seconds)
        self._client = address.client(access_key, secret_key, pool=self._pool)
        self._answer_seconds = answer_seconds
        public = address.seen_at(public_url) if public_url else address
        self._seen = public
        self.origin = public.origin(CODE_BUCKET + bucket_suffix)
        self._signer = public.client(access_key, secret_key)
        self._suffix = bucket_suffix
        self._clock = clock
        self._made: set[str] = set()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        self._free = asyncio.Semaphore(FOLLOWED)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pulse.close()

    async def put(
        self,
        name: str,
        data: bytes | Path | Growing,
        *,
        content_type: str = "application/octet-stream",
        sha256: str = "",
    ) -> tuple[int, str]:
        """Store and return (size, sha256)."""
        place = self._place(name)
        if isinstance(data, Growing):
            growing: Growing = data
            followed = await self._followed(place, growing, content_type)
            data, sha256 = await growing.whole()
            if followed:
                return growing.size, sha256
        return await self._do(lambda client: self._put(client, place, data, content_type, sha256))

    async def _followed(self, place: tuple[str, str], growing: Growing, content_type: str) -> bool:
        """Send a file while it grows; say whether that came to something, else it is sent once it is whole."""
        if self._free.locked() or growing.size > LARGEST_FORM:
            return False
        try:
            async with self._free:
                await self._do(lambda client: self._follow(client, place, growing, content_type))
        except GivenUp:
            return False
        except Unavailable as error:
            failed = monotonic()
            await growing.whole()
            if isinstance(error.__cause__, SilentError) and monotonic() - failed < SILENT_SECONDS:
                raise  # a server that was waited for just now is not waited for again
            return False
        return True

    async def get(self, name: str) -> bytes:
        """Return a whole small object."""
        return b"".join([piece async for piece in self.stream(name)])

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """Yield an object in pieces."""
        bucket, key = self._place(name)
        response = await self._do(lambda client: client.get_object(bucket, key))
        try:
            while piece := await self._do(lambda _client: response.read(PIECE)):
                yield piece
        finally:
            response.close()
            response.release_conn()

    async def fetch(self, name: str, into: Path) -> None:
        """Write an object to a file."""
        with into.open("wb") as file:
            async for piece in self.stream(name):
                await asyncio.to_thread(file.write, piece)

    async def delete(self, name: str) -> None:
        """Remove; no error when it is not there."""
        bucket, key = self._place(name)
        try:
            await self._do(lambda client: client.remove_object(bucket, key))
        except NotFound:
            return  # S3 says so only when the bucket itself is not there yet

    async def names(self, prefix: str) -> list[str]:
        """Return the names of objects that start so."""
        bucket, _, key = prefix.partition("/")
        if bucket not in BUCKETS or ".." in key.split("/"):
            raise Invalid("That is not the start of an object's name.", code="bad_object_name")

        def keys(client: Minio) -> list[str]:
            found = client.list_objects(bucket + self._suffix, prefix=key, recursive=True)
            return sorted(f"{bucket}/{item.object_name}" for item in found)

        try:
            return await self._do(keys)
        except NotFound:
            return []

    async def link(
        self, name: str, *, filename: str, content_type: str, seconds: int = 900
    ) -> Link:
        """Return a presigned GET; signing needs no server."""
        bucket, key = self._place(name)
        disposition = Message()
        disposition.add_header("Content-Disposition", "attachment", filename=_header(filename))
        now = self._clock.now()
        url = self._signer.presigned_get_object(
            bucket,
            key,
            expires=timedelta(seconds=seconds),
            response_headers={
                "response-content-disposition": disposition["Content-Disposition"],
                "response-content-type": content_type,
            },
            request_date=now,
        )
        return Link(url=url, expires_at=now + timedelta(seconds=seconds))

    async def form(self, name: str, *, most_bytes: int, until: datetime) -> UploadForm:
        """Return a POST policy for this key alone; the store itself holds it to the size.

        Only a process's first form asks the server anything: whether there is a bucket.
        """
        bucket, key = self._place(name)
        if bucket not in self._made:
            await self._do(lambda client: self._make_bucket(client, bucket))
        policy = PostPolicy(bucket, until)
        policy.add_equals_condition("key", key)
        policy.add_content_length_range_condition(1, min(most_bytes, LARGEST_FORM))
        signed = self._signer.presigned_post_policy(policy)
        url = self._seen.bucket_url(bucket)
        return UploadForm(url=url, fields={"key": key, **signed}, expires_at=until)

    async def take(self, name: str, into: str) -> int:
        """Copy on the server exactly what was seen there; its size is of the same moment."""
        place, target = self._place(name), self._place(into)

        def copy(client: Minio) -> int:
            seen = client.stat_object(*place)
            self._make_bucket(client, target[0])
            client.copy_object(*target, CopySource(*place, match_etag=seen.etag))
            return int(seen.size or 0)

        return await self._do(copy)

    async def ready(self) -> None:
        """Raise `Unavailable` unless a one-byte object can be written, read and removed."""
        name = f"{CODE_BUCKET}/ready/{uuid.uuid4().hex}"
        await self.put(name, b"1")
        await self.get(name)
        await self.delete(name)

    def _place(self, name: str) -> tuple[str, str]:
        bucket, key = split_name(name)
        return bucket + self._suffix, key

    def _put(
        self,
        client: Minio,
        place: tuple[str, str],
        data: bytes | Path,
        content_type: str,
        known: str,
    ) -> tuple[int, str]:
        self._make_bucket(client, place[0])
        if isinstance(data, bytes):
            client.put_object(
                *place, io.BytesIO(data), len(data), content_type=content_type, part_size=PART
            )
            return len(data), hashlib.sha256(data).hexdigest()
        size = data.stat().st_size
        with _Hashing(data, known) as file:
            if size > LARGEST_FORM:
                client.put_object(*place, file, size, content_type=content_type, part_size=PART)
            else:
                self._send(client, place, file, size, content_type)
            return size, file.sha256

    def _send(
        self, client: Minio, place: tuple[str, str], file: "_Hashing", size: int, content_type: str
    ) -> None:
        """Send a file as it is read; the driver's own way holds several parts of it in memory."""
        seconds = self._answer_seconds + size / SLOWEST
        answer = self._pool.request(
            "PUT",
            client.presigned_put_object(*place, expires=timedelta(hours=6)),
            body=file,
            headers={"Content-Length": str(size), "Content-Type": content_type},
            timeout=urllib3.Timeout(connect=seconds, read=seconds),
        )
        if answer.status >= 300:
            raise S3Error.fromxml(answer)

    def _follow(
        self, client: Minio, place: tuple[str, str], growing: Growing, content_type: str
    ) -> None:
        """Send a file behind its writer: a server drops what a cut connection did not bring whole."""
        self._make_bucket(client, place[0])
        with Following(growing) as body:
            answer = self._pool.request(
                "PUT",
                client.presigned_put_object(*place, expires=timedelta(hours=6)),
                body=body,
                headers={"Content-Length": str(growing.size), "Content-Type": content_type},
                retries=False,
            )
        if answer.status >= 300:
            raise S3Error.fromxml(answer)

    def _make_bucket(self, client: Minio, bucket: str) -> None:
        if bucket in self._made:
            return
        if not client.bucket_exists(bucket):
            try:
                client.make_bucket(bucket)
            except S3Error as error:
                if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise
        self._made.add(bucket)

    async def _do(self, work: Callable[[Minio], Answer]) -> Answer:
        asked = asyncio.get_running_loop().run_in_executor(self._threads, work, self._client)
        try:
            await self._pulse.felt_until(asked)
            return await asked
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchBucket"}:
                raise NotFound("There is no such object.", code="object_not_found") from error
            if error.code == "PreconditionFailed":
                raise _away("The object is written anew at this moment.") from error
            raise _away(_FULL if error.code in _FULL_CODES else _SILENT) from error
        except (MinioException, HTTPError, OSError) as error:
            raise _away(_SILENT) from error
        finally:
            asked.cancel()


def _header(filename: str) -> str | tuple[str, None, str]:
    """Return a file's name as a header parameter (RFC 2231 when it is not plain)."""
    return filename if filename.isascii() else ("utf-8", None, filename)


def _away(said: str) -> Unavailable:
    return Unavailable(said, code="store_unavailable")
