"""A real nginx with the configuration that is shipped, before replicas of ours."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.distributed import free_port, required

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx" / "codexsys.conf"
_MAIN = """\
daemon off;
worker_processes 2;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
events {{ worker_connections 2048; }}
http {{
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/codexsys.conf;
}}
"""


class Nginx:
    """Runs until closed; `url` leads to the APIs, `door_url` to the gateways."""

    def __init__(
        self,
        folder: Path,
        *,
        apis: Sequence[int],
        gateways: Sequence[int],
        fail_timeout: int = 2,
        keepalive_timeout: int = 4,
    ) -> None:
        self.port, door = free_port(), free_port()
        self.url, self.door_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{door}"
        self._folder = folder
        changes = {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "listen 127.0.0.1:8099;": f"listen 127.0.0.1:{door};",
            "127.0.0.1:8080 ": f"127.0.0.1:{apis[0]} ",
            "127.0.0.1:8081 ": f"127.0.0.1:{apis[1]} ",
            "127.0.0.1:8090 ": f"127.0.0.1:{gateways[0]} ",
            "127.0.0.1:8091 ": f"127.0.0.1:{gateways[1]} ",
            "fail_timeout=2s;": f"fail_timeout={fail_timeout}s;",
            "keepalive_timeout 4s;": f"keepalive_timeout {keepalive_timeout}s;",
            "/var/log/nginx/": f"{folder}/",
        }
        text = SHIPPED.read_text()
        for shipped, ours in changes.items():
            assert shipped in text, shipped
            text = text.replace(shipped, ours)
        folder.mkdir(parents=True)
        user = "" if os.geteuid() else "user root;"  # else its workers could not write here
        (folder / "codexsys.conf").write_text(text)
        (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command(),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
        )
        self._until_it_answers()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(10)

    def reload(self) -> None:
        """Let new workers take over, as after a change of the configuration."""
        self._process.send_signal(signal.SIGHUP)

    def log(self, name: str = "codexsys.log") -> list[str]:
        """Return the lines of a log so far."""
        return (self._folder / name).read_text().splitlines()

    def _command(self) -> list[str]:
        program = required("CODEXSYS_TEST_NGINX")
        return [program, "-c", str(self._folder / "nginx.conf"), "-p", str(self._folder)]

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert self._process.poll() is None, self.log("error.log")
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return
