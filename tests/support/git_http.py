"""A real Git server over HTTP on loopback: `git http-backend` behind the standard library."""

import base64
import contextlib
import subprocess
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tests.support.served import Served
from typing_extensions import override

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


def git(directory: Path, *arguments: str) -> str:
    """Run git in `directory` with a clean environment and return what it says."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="surrogateescape").strip()


def make_repository(
    directory: Path, files: Mapping[str, str | bytes], message: str = "first"
) -> str:
    """Make (or extend) a work tree with `files`, commit them on `main`, return the commit."""
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / ".git").exists():
        git(directory, "init", "--quiet", "--initial-branch=main")
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(directory, "add", "--all", "--force")
    git(directory, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(directory, "rev-parse", "HEAD")


class GitHttpServer(Served):
    """Serves every repository under `root`; `redirects` maps a path prefix to a location.

    `requests` counts what was asked, so that a test can see whether a cache was used.
    """

    def __init__(
        self,
        root: Path,
        *,
        user: str | None = None,
        password: str = "",
        redirects: Mapping[str, str] | None = None,
        statuses: Mapping[str, int] | None = None,
        at: str = "127.0.0.1",
    ) -> None:
        self.root = root
        self.at = at
        self.user = user
        self.password = password
        self.redirects = dict(redirects or {})
        self.statuses = dict(statuses or {})
        self.requests: list[str] = []
        super().__init__(_Handler, at=at, git=self)

    def url(self, name: str, *, host: str | None = None) -> str:
        """Return the URL of the repository `name` (a folder under root)."""
        return f"http://{host or self.at}:{self.port}/{name}"

    def admits(self, header: str | None) -> bool:
        """Say whether the Authorization header is the wanted one."""
        if self.user is None:
            return True
        wanted = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return header == f"Basic {wanted}"


class _Handler(BaseHTTPRequestHandler):
    git: GitHttpServer

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        self.git.requests.append(f"{self.command} {self.path}")
        for prefix, location in self.git.redirects.items():
            if self.path.startswith(prefix):
                self._plain(302, {"Location": location + self.path.removeprefix(prefix)})
                return
        for prefix, status in self.git.statuses.items():
            if self.path.startswith(prefix):
                self._plain(status, {}, b"<html>\n<body>a page</body>\n</html>\n")
                return
        if not self.git.admits(self.headers.get("Authorization")):
            self._plain(401, {"WWW-Authenticate": 'Basic realm="git"'})
            return
        self._backend()

    def _plain(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _environment(self) -> dict[str, str]:
        parts = urlsplit(self.path)
        return ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": self.git.user or "",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }

    def _backend(self) -> None:
        with subprocess.Popen(
            ["git", "http-backend"],
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            if child.stdin is None or child.stdout is None:
                raise RuntimeError("no pipes")
            child.stdin.write(self._body())
            child.stdin.close()
            self._head(child.stdout)
            # A client that is cut off by its own limits is no fault of the server.
            with contextlib.suppress(ConnectionError):
                while chunk := child.stdout.read(1 << 16):
                    self.wfile.write(chunk)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def _head(self, out: IO[bytes]) -> None:
        status, headers = 200, []
        while line := out.readline().strip():
            name, _, value = line.decode().partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
