"""A small OpenAI-compatible model server on loopback; the path's first part chooses its fault.

At `script` the model's name chooses a script: its steps in turn, the last one again and again. A
step is a tool call (`{"tool", "arguments"}`, with `"uncounted"` without usage), a text, the status of
a fault (0: no answer), or `{"fault": "cut" | "stall" | "hang"}`.
"""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.served import Served
from typing_extensions import override

from codexsys_core.preflight import MARK

_THINKS_SECONDS = 0.2
"""Between two words of an answer that is said slowly, so that something can happen meanwhile."""
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
_ERRORS = {
    "401": (401, {"message": "Incorrect API key", "code": "invalid_api_key"}),
    "402": (402, {"message": "Insufficient credit", "code": "insufficient_quota"}),
    "403": (403, {"message": "Not for you", "code": "forbidden"}),
    "404": (404, {"message": "no such model", "code": "model_not_found"}),
    "context": (400, {"message": "too long", "code": "context_length_exceeded"}),
    "429once": (429, {"message": "slow down", "code": "rate_limit_exceeded"}),
    "500twice": (500, {"message": "oh", "code": "server_error"}),
    "429": (429, {"message": "slow down", "code": "rate_limit_exceeded"}),
    "429long": (429, {"message": "tomorrow", "code": "rate_limit_exceeded"}),
    "500": (500, {"message": "oh", "code": "server_error"}),
}
_TIMES = {"429once": 1, "500twice": 2}
_INSTEAD = {
    "nonsense": b"data: {\n\n",
    "error": b'data: {"error": {"message": "oh", "code": 500}}\n\n',
}
_FAULTS = {
    **{status: str(status) for status in (401, 402, 403, 404, 429)},
    400: "context",
    500: "500twice",
}
_RETRY_AFTER = {"429": None, "429long": "3600"}
OUTPUT_TOKENS = 20
"""What each scripted reply takes, unless the call allows less."""
_MESSAGES: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "one",
            "model": "small",
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 4,
                "cache_read_input_tokens": 3,
                "output_tokens": 1,
            },
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]
"""Of 3 new input tokens, 4 that are kept (and cost as 5), and 3 that were."""
_HALF = 3
READY = '{"ready": true}'
Step = dict[str, Any] | str | int


class ModelServer(Served):
    """Answers "hello" unless told otherwise; `calls` counts by fault, or by a script's name."""

    def __init__(self, *, at: str = "127.0.0.1") -> None:
        self.calls: Counter[str] = Counter()
        self.asked: list[dict[str, Any]] = []
        """Every body."""
        self.met: Counter[tuple[str, str]] = Counter()
        """Calls by fault and model."""
        self.keys: list[str] = []
        """Whose word each of them brought."""
        self.scripts: dict[str, list[Step]] = {}
        self.gates: dict[str, list[Step]] = {}
        """What the pre-flight gate is told, by the model's name; "ready" where nothing is said."""
        self.gated: Counter[str] = Counter()
        """Calls of the gate, which count in no script."""
        self.most_at_once = 0
        """Of calls that are slow."""
        self.slow_now = 0
        self.counting = threading.Lock()
        self.thinks: tuple[str, ...] = ()
        """What each scripted reply says first, word by word, a fifth of a second each."""
        self.release = threading.Event()
        super().__init__(_Handler, at=at, models=self)

    def url(self, fault: str = "fine") -> str:
        """Return the base URL of a behaviour."""
        return f"{self.origin}/{fault}/v1"

    @override
    def stop(self) -> None:
        """Let go whoever hangs, and stop."""
        self.release.set()
        super().stop()


class _Handler(BaseHTTPRequestHandler):
    models: ModelServer
    protocol_version = "HTTP/1.0"

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.path.split("/")[1]
        self.models.asked.append(body)
        self.models.met[fault, body["model"]] += 1
        self.models.keys.append(self.headers.get("Authorization", ""))
        if fault == "script":
            self._follow(body)
            return
        self.models.calls[fault] += 1
        if fault == "mute":
            return  # the connection ends without a word
        if fault == "hang":
            self.models.release.wait(30)
        elif fault == "slow":
            self._slowly()
        elif fault in _ERRORS and self.models.calls[fault] <= _TIMES.get(fault, 1000):
            status, error = _ERRORS[fault]
            self._json(status, {"error": error})
        elif body.get("stream") and fault != "whole":
            self._stream(fault)
        else:
            message = {"role": "assistant", "content": "hello"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._json(200, _object("chat.completion") | {"choices": [choice], "usage": USAGE})

    def _slowly(self) -> None:
        """Answer after a while, counting how many wait at the same time."""
        with self.models.counting:
            self.models.slow_now += 1
            self.models.most_at_once = max(self.models.most_at_once, self.models.slow_now)
        self.models.release.wait(0.2)
        with self.models.counting:
            self.models.slow_now -= 1
        self._stream("slow")

    def _follow(self, body: dict[str, Any]) -> None:
        name = body["model"]
        gate = str(body["messages"][0]["content"]).startswith(MARK)
        steps = self.models.gates.get(name, [READY]) if gate else self.models.scripts[name]
        calls = self.models.gated if gate else self.models.calls
        step = steps[min(calls[name], len(steps) - 1)]
        calls[name] += 1
        if step == 0:
            return  # the connection ends without a word
        if isinstance(step, int):
            status, error = _ERRORS[_FAULTS[step]]
            self._json(status, {"error": error})
            return
        if isinstance(step, dict) and "fault" in step:
            if step["fault"] == "hang":
                self.models.release.wait(30)
            else:
                self._stream(step["fault"])
            return
        written = min(OUTPUT_TOKENS, body.get("max_tokens", OUTPUT_TOKENS))
        read = len(json.dumps(body)) // 4
        usage = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
        self._start_stream()
        if self.path.endswith("/messages"):
            self._send_messages(_in_messages(step, read, written))
            return
        for word in self.models.thinks:
            self._chunk({"choices": [{"index": 0, "delta": {"content": word}}]})
            time.sleep(_THINKS_SECONDS)
        self._chunk({"choices": [{"index": 0, **_said(step, whole=written == OUTPUT_TOKENS)}]})
        if not (isinstance(step, dict) and step.get("uncounted")):
            self._chunk({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _json(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        after = _RETRY_AFTER.get(self.path.split("/")[1], "1")
        if status == 429 and after:
            self.send_header("Retry-After", after)
        self.end_headers()
        self.wfile.write(data)

    def _start_stream(self, **headers: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, fault: str) -> None:
        cut = fault == "cut"
        self._start_stream(**({"Content-Length": "100000"} if cut else {}))  # more than is sent
        if fault in _INSTEAD:
            self.wfile.write(_INSTEAD[fault])
            return
        if self.path.endswith("/messages"):
            self._messages(fault)
            return
        self._chunk({"choices": [{"index": 0, "delta": {"content": "hel"}}]})
        if fault == "stall":
            self.models.release.wait(30)
        if fault in ("cut", "short", "stall"):
            return
        last = {"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}
        self._chunk({"choices": [last]})
        if fault != "uncounted":
            self._chunk({"choices": [], "usage": USAGE})
        self.wfile.write(b"data: [DONE]\n\n")

    def _messages(self, fault: str) -> None:
        """Say the same in Anthropic's words."""
        for number, event in enumerate(_MESSAGES):
            if fault == "uncounted":
                event = {key: value for key, value in event.items() if key != "usage"}  # noqa: PLW2901
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            if number == _HALF and fault == "stall":
                self.models.release.wait(30)
            if number == _HALF and fault in ("cut", "short", "stall"):
                return

    def _send_messages(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()

    def _chunk(self, part: dict[str, Any]) -> None:
        data = json.dumps(_object("chat.completion.chunk") | part)
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()


def _object(kind: str) -> dict[str, Any]:
    return {"id": "one", "object": kind, "created": 1, "model": "small"}


def _said(step: dict[str, Any] | str, *, whole: bool) -> dict[str, Any]:
    """Return a choice's delta and how it finished; a reply that is cut has no call."""
    if not whole:
        return {"delta": {"content": "I was about to"}, "finish_reason": "length"}
    if isinstance(step, str):
        return {"delta": {"content": step}, "finish_reason": "stop"}
    given = step["arguments"]
    words = given if isinstance(given, str) else json.dumps(given)  # a text may be no JSON at all
    function = {"name": step["tool"], "arguments": words}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return {"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}


def _in_messages(step: dict[str, Any] | str, read: int, written: int) -> list[dict[str, Any]]:
    """Return a step's reply in Anthropic's words: some text, then its call, piece by piece."""
    usage = {"input_tokens": read, "output_tokens": 1}
    words = step if isinstance(step, str) else "I call."
    texts = [{"type": "text_delta", "text": part} for part in (words[:3], words[3:])]
    said = [*_block(0, {"type": "text", "text": ""}, texts)]
    if not isinstance(step, str):
        given = json.dumps(step["arguments"])
        parts = [
            {"type": "input_json_delta", "partial_json": part} for part in (given[:5], given[5:])
        ]
        call = {"type": "tool_use", "id": "call_1", "name": step["tool"], "input": {}}
        said += _block(1, call, parts)
    reason = "end_turn" if isinstance(step, str) else "tool_use"
    return [
        {"type": "message_start", "message": {"id": "one", "model": "small", "usage": usage}},
        *said,
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason},
            "usage": {"output_tokens": written},
        },
        {"type": "message_stop"},
    ]


def _block(index: int, begun: dict[str, Any], deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    grown = [{"type": "content_block_delta", "index": index, "delta": each} for each in deltas]
    start = {"type": "content_block_start", "index": index, "content_block": begun}
    return [start, *grown, {"type": "content_block_stop", "index": index}]
