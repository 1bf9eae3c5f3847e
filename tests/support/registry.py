"""A small image registry with one image, taken from an archive that `docker load` would read."""

import hashlib
import json
import secrets
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from typing_extensions import override

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class Registry(ThreadingHTTPServer):
    """Answers pulls of `small:1`; everything else is unknown. Engines take plain HTTP from loopback."""

    daemon_threads = True

    def __init__(self, archive: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        with tarfile.open(archive) as tar:
            files = {member.name: tar.extractfile(member) for member in tar}
            read = {name: file.read() for name, file in files.items() if file}
        config = json.loads(read["config.json"]) | {"author": secrets.token_hex(8)}  # never seen
        blobs = {_CONFIG: json.dumps(config).encode(), _LAYER: read["layer.tar"]}
        described = {
            kind: {"mediaType": kind, "size": len(data), "digest": _digest(data)}
            for kind, data in blobs.items()
        }
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described[_CONFIG]}
        self.manifest = json.dumps(manifest | {"layers": [described[_LAYER]]}).encode()
        self.digest = _digest(self.manifest)
        self.blobs = {_digest(data): data for data in blobs.values()}

    @property
    def name(self) -> str:
        """Return what images here are named with."""
        return f"127.0.0.1:{self.server_address[1]}"

    @override
    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    @override
    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_GET(self) -> None:
        """Give a manifest or a blob."""
        last = self.path.rpartition("/")[2]
        if self.path == "/v2/":
            self._give(b"{}", "application/json", "")
        elif self.path.startswith("/v2/small/manifests/") and last in ("1", self.server.digest):
            self._give(self.server.manifest, _MANIFEST, self.server.digest)
        elif last in self.server.blobs:
            self._give(self.server.blobs[last], "application/octet-stream", last)
        else:
            unknown = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self._give(json.dumps(unknown).encode(), "application/json", "", status=404)

    do_HEAD = do_GET  # noqa: N815

    def _give(self, data: bytes, kind: str, digest: str, *, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
