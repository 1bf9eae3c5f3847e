"""How soon an agent makes its first model call, and how much memory it takes: whole tasks in real local sandboxes."""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel
from tests.support.models_file import models_file
from tests.support.place import FINISH, Place, bash, open_place, reason

from codexsys_core.end_reasons import EndReason

FILES, FILE_BYTES = 1000, 6000
ROUNDS = 5
TASK_SECONDS = 120
MOST_FIRST_CALL_MS, MOST_MEMORY_MB = 600, 90
_NAME = b"codexsys_agent"
_READ = {"tool": "read", "arguments": {"path": "d7/f7.txt"}}
STEPS = (
    bash("grep -rc text . | head -500"),
    _READ,
    bash("head -c 30000000 /dev/zero | tr '\\0' a"),
    bash("for n in $(seq 300); do echo more >> d1/f$n.txt; done"),
    bash("seq 1000000"),
    *(bash(f"seq {n} 20000") for n in range(30)),
    bash("echo done >> README.md"),
    FINISH,
)
"""What an agent does: long outputs, many changed files, a conversation that grows."""


class Glance(BaseModel):
    """An agent as its host sees it at one of its calls."""

    seconds: float
    """Since its process was there."""
    most_mb: float
    """Of memory, until now."""


class AgentFigures(BaseModel):
    """Of each task."""

    first_call_ms: list[float]
    memory_mb: list[float]

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        found = []
        if (took := median(self.first_call_ms)) > MOST_FIRST_CALL_MS:
            found.append(f"an agent makes its first model call after {took:.0f} ms")
        if (took := max(self.memory_mb)) > MOST_MEMORY_MB:
            found.append(f"an agent takes {took:.0f} MB of memory")
        return found

    def text(self) -> str:
        """Return the figures as Markdown."""
        return f"""
## Agents

The engine builtin in real local sandboxes, {len(STEPS)} steps of a scripted model on a repository of {FILES} files of {FILE_BYTES} bytes, {len(self.memory_mb)} tasks.

| | median | most | wanted |
|---|---|---|---|
| from the agent's process to its first call at the model's endpoint, ms | {median(self.first_call_ms):.0f} | {max(self.first_call_ms):.0f} | ≤ {MOST_FIRST_CALL_MS} |
| memory of its process, the most at any time, MB | {median(self.memory_mb):.0f} | {max(self.memory_mb):.0f} | ≤ {MOST_MEMORY_MB} |
"""


async def measure_agent() -> AgentFigures:
    """Have one task after the other solved; the first is the warm-up."""
    glances: list[list[Glance]] = []
    with tempfile.TemporaryDirectory(prefix="codexsys-bench-") as name:
        async with _endpoint(glances) as url:
            file = models_file(Path(name), [{"name": "u", "url": url, "models": ["m"]}])
            async with open_place(Path(name) / "data", sandbox="local", models_file=file) as place:
                for _ in range(ROUNDS + 1):
                    glances.append([])
                    await _solved(place)
    counted = glances[1:]
    return AgentFigures(
        first_call_ms=[some[0].seconds * 1000 for some in counted],
        memory_mb=[some[-1].most_mb for some in counted],
    )


async def _solved(place: Place) -> None:
    text = os.urandom(FILE_BYTES // 2).hex()
    names = (f"d{number % 100}/f{number}.txt" for number in range(FILES))
    source = await place.zip_source({"README.md": "one\n", **dict.fromkeys(names, text)})
    limits = {"calls": 100, "steps": 100, "wall_seconds": TASK_SECONDS}
    task_id = await place.submit(source, engine="builtin", command=None, model="m", limits=limits)
    task = await place.until(task_id, seconds=TASK_SECONDS)
    await place.clean()
    if reason(task) is not EndReason.FINISHED:
        raise SystemExit(f"no task: {task.end}")


@asynccontextmanager
async def _endpoint(glances: list[list[Glance]]) -> AsyncIterator[str]:
    """Serve a model that follows the steps, and look at who asks."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            heard = time.clock_gettime(time.CLOCK_BOOTTIME)
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            asked = json.loads(await reader.readexactly(int(length)))
            glances[-1].append(_glance(heard))
            done = sum(message["role"] == "assistant" for message in asked["messages"])
            body = _answer(STEPS[min(done, len(STEPS) - 1)])
            kind = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
            writer.write(kind + b"content-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def _answer(step: dict[str, Any]) -> bytes:
    function = {"name": step["tool"], "arguments": json.dumps(step["arguments"])}
    call = {"id": "c", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def _glance(now: float) -> Glance:
    """Look at the one agent that there is: it is in a namespace of processes of its own."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            if (
                argv[-1] != _NAME or b"/python" not in argv[0]
            ):  # what keeps it is called with its words
                continue
            status = dict(
                line.split(":\t", 1) for line in (folder / "status").read_text().splitlines()
            )
            if len(status["NSpid"].split()) < 2:
                continue
            began = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
            most = int(status["VmHWM"].split()[0]) * 1024 / 1e6
            return Glance(seconds=now - began / os.sysconf("SC_CLK_TCK"), most_mb=most)
    raise RuntimeError("no agent is there")
