"""Buckets of a test's own on the real object store."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from minio import Minio
from tests.contract.servers import S3_KEY, S3_SECRET, S3_URL, must_have

from codexsys_core.artifact import BUCKETS


@contextmanager
def own_buckets() -> Iterator[str]:
    """Yield a suffix of buckets that are removed when the block ends."""
    suffix = f"-test-{secrets.token_hex(4)}"
    yield suffix
    store = Minio(
        urlsplit(must_have(S3_URL)).netloc,
        access_key=must_have(S3_KEY),
        secret_key=must_have(S3_SECRET),
        secure=False,
    )
    for name in (f"{each}{suffix}" for each in BUCKETS):
        if store.bucket_exists(name):
            for found in store.list_objects(name, recursive=True):
                store.remove_object(name, str(found.object_name))
            store.remove_bucket(name)


def on_s3(suffix: str, port: int | None = None) -> dict[str, Any]:
    """Return the settings of an API on the real store, by way of a proxy if there is one."""
    url = must_have(S3_URL)
    return {
        "store_url": f"s3://127.0.0.1:{port}" if port else f"s3://{urlsplit(url).netloc}",
        "store_public_url": url,
        "store_key": must_have(S3_KEY),
        "store_secret": must_have(S3_SECRET),
        "store_bucket_suffix": suffix,
    }
