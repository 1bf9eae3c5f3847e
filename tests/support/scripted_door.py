"""A door on loopback that follows a script of model replies and keeps what it was sent."""

import base64
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.served import Served
from typing_extensions import override


@dataclass(frozen=True)
class Say:
    """One reply: text, tool calls as (name, arguments), or both."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any] | str], ...] = ()
    finish: str = ""
    broken_off: bool = False
    call_id: str = ""
    """Of each of its calls; one of their own, when there is none."""


@dataclass(frozen=True)
class Fault:
    """One error answer; status 0 accepts and never answers."""

    status: int
    code: str = ""
    message: str = "scripted"
    retry_after: int | None = None


Step = Say | Fault | Callable[[dict[str, Any]], Say | Fault]


@dataclass
class ScriptedDoor:
    """What the gateway's side saw; the last step of the script repeats."""

    script: list[Step]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    control: list[dict[str, Any]] = field(default_factory=list)
    taken: int = 0
    """The last item of the control channel that the agent has for certain."""
    refuses_control: bool = False
    closing: threading.Event = field(default_factory=threading.Event)
    controlled: threading.Condition = field(default_factory=threading.Condition)

    def tell(self, kind: str, **data: object) -> None:
        """Put an item on the control channel."""
        with self.controlled:
            self.control.append({"number": len(self.control) + 1, "type": kind, "data": data})
            self.controlled.notify_all()

    def wait_taken(self, number: int) -> None:
        """Wait until the agent has the first items of the control channel."""
        with self.controlled:
            assert self.controlled.wait_for(lambda: self.taken >= number, timeout=20)

    def refuse_control(self) -> None:
        """Answer 401 on the control channel from now on."""
        with self.controlled:
            self.refuses_control = True
            self.controlled.notify_all()

    def patch(self) -> bytes:
        """The last checkpoint's patch."""
        return base64.b64decode(self.checkpoints[-1]["patch"])


@contextmanager
def scripted_door(*script: Step) -> Iterator[ScriptedDoor]:
    """Serve the script on a free port until the block ends."""
    door = ScriptedDoor(list(script))
    with Served(_Handler, door=door) as served:
        door.url = served.origin
        try:
            yield door
        finally:
            door.closing.set()
            with door.controlled:
                door.controlled.notify_all()


class _Handler(BaseHTTPRequestHandler):
    door: ScriptedDoor

    @override
    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        after = int(self.path.partition("after=")[2].partition("&")[0] or 0)
        with self.door.controlled:
            self.door.taken = max(self.door.taken, after)
            self.door.controlled.notify_all()
            self.door.controlled.wait_for(
                lambda: (
                    len(self.door.control) > after
                    or self.door.refuses_control
                    or self.door.closing.is_set()
                ),
                timeout=20,
            )
            items = self.door.control[after:]
        if self.door.refuses_control:
            self._fault(Fault(401, "token_revoked"))
        else:
            self._json(200, {"items": items, "next": after + len(items)})

    def do_PUT(self) -> None:
        self.door.checkpoints.append(self._body())
        self._json(202, {})

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/v1/events":
            self.door.events.append(body)
            self._json(202, {"seq": len(self.door.events)})
            return
        step = self.door.script[min(len(self.door.asked), len(self.door.script) - 1)]
        self.door.asked.append(body)
        answer = step if isinstance(step, Say | Fault) else step(body)
        if isinstance(answer, Fault):
            self._fault(answer)
        else:
            self._reply(answer)

    def _body(self) -> dict[str, Any]:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body: dict[str, Any] = json.loads(raw)
        return body

    def _fault(self, fault: Fault) -> None:
        if not fault.status:
            self.door.closing.wait(20)
            return
        extra = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        error = {"code": fault.code, "message": fault.message, "type": "codexsys"}
        self._json(fault.status, {"error": error}, extra)

    def _json(self, status: int, body: object, extra: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _reply(self, say: Say) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        chunks = list(_chunks(say))
        for chunk in chunks[: len(chunks) // 2] if say.broken_off else chunks:
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if not say.broken_off:
            self.wfile.write(b"data: [DONE]\n\n")


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex[:8]}"


def _chunks(say: Say) -> Iterator[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    half = len(say.text) // 2
    yield chunk({"role": "assistant", "content": say.text[:half]})
    yield chunk({"content": say.text[half:]})
    for index, (name, arguments) in enumerate(say.calls):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        head = {"index": index, "id": say.call_id or _new_id(), "type": "function"}
        yield chunk({"tool_calls": [{**head, "function": {"name": name, "arguments": text[:9]}}]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": text[9:]}}]})
    yield chunk({}, say.finish or ("tool_calls" if say.calls else "stop"))
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    yield {"choices": [], "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 50}}}
