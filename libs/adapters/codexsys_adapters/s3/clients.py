"""Connections to an S3 server, made from one URL."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import urllib3
from minio import Minio

from codexsys_core.errors import Invalid

THREADS = 16
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
RETRIES = 2
BLOCK = 512 << 10
"""What of a file is in memory while it is sent."""


@dataclass(frozen=True)
class S3Address:
    """`s3://host:port?region=&style=path|virtual&tls=0|1`."""

    host: str
    region: str
    virtual: bool
    tls: bool

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read the URL, or raise `Invalid`."""
        parts = urlsplit(url)
        options = {"region": "us-east-1", "style": "path", "tls": "0"} | dict(
            parse_qsl(parts.query)
        )
        odd = set(options) - {"region", "style", "tls"}
        if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or odd:
            raise Invalid("The store URL must be s3://host:port?region=&style=path|virtual&tls=0|1")
        if options["style"] not in {"path", "virtual"} or options["tls"] not in {"0", "1"}:
            raise Invalid("In the store URL style is path or virtual, tls is 0 or 1.")
        return cls(
            host=parts.netloc,
            region=options["region"],
            virtual=options["style"] == "virtual",
            tls=options["tls"] == "1",
        )

    def seen_at(self, public_url: str) -> "S3Address":
        """Return the same server as a browser reaches it."""
        parts = urlsplit(public_url)
        if parts.scheme not in {"http", "https"} or parts.path not in {"", "/"}:
            raise Invalid("The store's public URL must be http(s)://host[:port] without a path.")
        return S3Address(parts.netloc, self.region, self.virtual, parts.scheme == "https")

    def origin(self, bucket: str) -> str:
        """Return scheme and host of a bucket."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{bucket}.{self.host}" if self.virtual else f"{scheme}://{self.host}"

    def bucket_url(self, bucket: str) -> str:
        """Return where a bucket takes forms."""
        return f"{self.origin(bucket)}/{'' if self.virtual else bucket}"

    def pool(self, answer_seconds: float = ANSWER_SECONDS) -> urllib3.PoolManager:
        """Return connections with short timeouts and few retries."""
        return urllib3.PoolManager(
            maxsize=THREADS,
            blocksize=BLOCK,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=answer_seconds),
            retries=urllib3.Retry(
                total=RETRIES, read=1, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]
            ),
        )

    def client(
        self, access_key: str, secret_key: str, *, pool: urllib3.PoolManager | None = None
    ) -> Minio:
        """Return a client that uses these connections."""
        client = Minio(
            self.host,
            access_key=access_key,
            secret_key=secret_key,
            secure=self.tls,
            region=self.region,
            http_client=pool or self.pool(),
        )
        if self.virtual:
            client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        return client
