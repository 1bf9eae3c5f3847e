"""The load generator, a process of its own: a plan on stdin, what was measured on stdout.

Closed loop: each connection sends its next request when it has the last answer. With a rate: each
request is sent when it is due, whether or not earlier ones are answered. Bounded in both: by time and count.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator

from pydantic import BaseModel

ANSWER_SECONDS = 30.0
UNCHANGED = 304


class Plan(BaseModel):
    """What to send to a server on loopback. Paths are taken in turn.

    Who was given an ETag sends it with the next request for the same path, as a good client does.
    """

    port: int
    method: str
    paths: list[str]
    headers: dict[str, str] = {}
    body: str = ""
    status: int
    connections: int
    seconds: float
    most: int = 100_000
    rate: float = 0.0


class Sample(BaseModel):
    """One answered request; times are seconds since the epoch."""

    id: str
    due_at: float
    answered_at: float

    @property
    def seconds(self) -> float:
        return self.answered_at - self.due_at


class Measured(BaseModel):
    """What came of a plan."""

    samples: list[Sample]
    wrong: list[str]
    seconds: float
    busy: float
    """The share of one core that the generator itself used: near 1 means that it was the limit."""

    @property
    def rate(self) -> float:
        return len(self.samples) / self.seconds


class Generator:
    """Sends a plan's requests and checks every answer: its status, and the id in its JSON."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._paths = itertools.cycle(plan.paths)
        self._samples: list[Sample] = []
        self._wrong: list[str] = []
        self._tags: dict[str, str] = {}

    async def run(self) -> Measured:
        plan = self._plan
        lines = [
            await asyncio.open_connection("127.0.0.1", plan.port) for _ in range(plan.connections)
        ]
        begun, cpu = time.time(), time.process_time()
        due = self._due(begun)
        await asyncio.gather(*(self._connection(reader, writer, due) for reader, writer in lines))
        took, used = time.time() - begun, time.process_time() - cpu
        for _, writer in lines:
            writer.close()
        return Measured(samples=self._samples, wrong=self._wrong, seconds=took, busy=used / took)

    def _due(self, begun: float) -> Iterator[float]:
        """Yield when the next request is due, until the plan is over."""
        for number in range(self._plan.most):
            moment = begun + number / self._plan.rate if self._plan.rate else time.time()
            if moment >= begun + self._plan.seconds:
                return
            yield moment

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, due: Iterator[float]
    ) -> None:
        for moment in due:
            await asyncio.sleep(max(0.0, moment - time.time()))
            path = next(self._paths)
            tag = self._tags.get(path, "")
            writer.write(self._request(path, tag))
            async with asyncio.timeout(ANSWER_SECONDS):
                status, fields, body = await _answer(reader)
            if tag and status == UNCHANGED:
                known = path.rpartition("/")[2]
                self._samples.append(Sample(id=known, due_at=moment, answered_at=time.time()))
                continue
            if self._plan.method == "GET" and "etag" in fields:
                self._tags[path] = fields["etag"]
            self._note(status, body, path, moment)

    def _request(self, path: str, tag: str) -> bytes:
        body = self._plan.body.encode()
        headers = {"Host": "127.0.0.1", **self._plan.headers}
        if body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if tag:
            headers |= {"If-None-Match": tag}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self._plan.method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body

    def _note(self, status: int, body: bytes, path: str, due_at: float) -> None:
        answered_at = time.time()
        if status != self._plan.status:
            self._wrong.append(f"{status}: {body[:300].decode(errors='replace')}")
            return
        found = json.loads(body)["id"]
        if self._plan.method == "GET" and not path.endswith(found):
            self._wrong.append(f"asked for {path}, got {found}")
            return
        self._samples.append(Sample(id=found, due_at=due_at, answered_at=answered_at))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if line)
    size = int(fields.get("content-length", 0))
    return int(first.split()[1]), fields, await reader.readexactly(size)


if __name__ == "__main__":
    measured = asyncio.run(Generator(Plan.model_validate_json(sys.stdin.read())).run())
    sys.stdout.write(measured.model_dump_json())
