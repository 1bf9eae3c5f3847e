"""The platform's own model calls: at whichever gateway answers, once, in bounded time, whatever it says."""

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_service import free_port
from tests.support.served import Served
from typing_extensions import override

from codexsys_adapters.gateway_calls import LARGEST_ANSWER, GatewayCalls
from codexsys_core.errors import PlatformError, Unavailable

REQUEST: dict[str, Any] = {"messages": [{"role": "user", "content": "ready?"}]}


def said(content: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


ANSWERS: dict[str, tuple[int, bytes]] = {
    "fine": (200, said("yes")),
    "nothing": (200, said(None)),
    "refused": (401, b'{"error": {"code": "budget_exhausted", "message": "spent"}}'),
    "no choice": (200, b'{"choices": []}'),
    "no object": (200, b"[1]"),
    "no JSON": (502, b"<html>Bad gateway"),
    "no error": (500, b'{"error": "oh"}'),
    "nested": (200, b"[" * 100_000),
    "large": (200, said("x" * LARGEST_ANSWER)),
}


class _Handler(BaseHTTPRequestHandler):
    calls: "Gateway"
    protocol_version = "HTTP/1.0"

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @override
    def address_string(self) -> str:
        return "here"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.asked.append((self.path, self.headers["Authorization"]))
        if self.calls.says == "hang":
            self.calls.release.wait(20)
            return
        if self.calls.says == "hang up":
            return
        status, body = ANSWERS[self.calls.says]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


class Gateway(Served):
    def __init__(self) -> None:
        self.says = "fine"
        self.asked: list[tuple[str, str]] = []
        self.release = threading.Event()
        super().__init__(_Handler, calls=self)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running
        running.release.set()


async def test_what_a_model_says_comes_back(gateway: Gateway) -> None:
    calls = GatewayCalls(urls=[f"{gateway.origin}/behind"])
    assert await calls.answer("secret", REQUEST) == "yes"
    assert gateway.asked == [("/behind/v1/chat/completions", "Bearer secret")]
    gateway.says = "nothing"
    assert await calls.answer("secret", REQUEST) == ""


async def test_a_refusal_has_the_gateways_code(gateway: Gateway) -> None:
    gateway.says = "refused"
    with pytest.raises(PlatformError) as caught:
        await GatewayCalls(urls=[gateway.origin]).answer("secret", REQUEST)
    assert (caught.value.code, caught.value.message) == ("budget_exhausted", "spent")


@pytest.mark.parametrize("says", [*list(ANSWERS)[3:], "hang", "hang up"])
async def test_what_is_no_answer_is_unavailable_and_not_asked_for_again(
    gateway: Gateway, says: str
) -> None:
    gateway.says = says
    calls = GatewayCalls(urls=[gateway.origin] * 2, answer_seconds=2)
    with pytest.raises(Unavailable) as caught:
        await calls.answer("secret", REQUEST)
    assert caught.value.code == "gateway_unavailable"
    assert "secret" not in str(caught.value)
    assert len(gateway.asked) == 1


async def test_who_does_not_listen_is_passed_by(gateway: Gateway) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert await GatewayCalls(urls=[nobody, gateway.origin]).answer("secret", REQUEST) == "yes"
    for urls in ([], [nobody], ["http://[nonsense"], ["ftp://127.0.0.1"]):
        with pytest.raises(Unavailable):
            await GatewayCalls(urls=urls).answer("secret", REQUEST)


async def test_sockets_of_this_host_come_first(gateway: Gateway, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:  # of a gateway that was killed
        left_behind.bind(str(tmp_path / "a.sock"))
    here = Gateway()
    handler = type("Handler", (_Handler,), {"calls": here})
    with here, socketserver.UnixStreamServer(str(tmp_path / "b.sock"), handler) as server:
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        calls = GatewayCalls(urls=[gateway.origin], sockets=tmp_path)
        assert await calls.answer("secret", REQUEST) == "yes"
        serving.join()
    assert (len(here.asked), gateway.asked) == (1, [])
    (tmp_path / "b.sock").unlink()
    assert await calls.answer("secret", REQUEST) == "yes"
    assert len(gateway.asked) == 1
