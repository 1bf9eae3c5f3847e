"""Which sandbox is taken where none is named, and how a Docker engine is asked."""

import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import pytest
from typing_extensions import override

from codexsys_wiring.sandbox import docker_answers, with_sandbox
from codexsys_wiring.settings import Settings


class Engine(BaseHTTPRequestHandler):
    """Answers pings as Docker's API does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_ping" else 404)
        self.end_headers()

    @override
    def address_string(self) -> str:
        return "engine"

    @override
    def log_message(self, *_: object) -> None:
        return


def test_an_engine_that_answers_is_there(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with UnixStreamServer(str(path), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            assert docker_answers(f"unix://{path}")
        finally:
            server.shutdown()
            thread.join()
    assert not docker_answers(f"unix://{path}")


@pytest.mark.parametrize("host", ["unix:///nonexistent.sock", "tcp://127.0.0.1:1", "nonsense"])
def test_an_engine_that_is_away_is_not(host: str) -> None:
    assert not docker_answers(host)


@pytest.mark.parametrize("named", ["dummy", "local", "docker"])
def test_a_named_sandbox_is_taken_as_it_is(tmp_path: Path, named: str) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "sandbox": named})
    assert with_sandbox(settings) is settings
