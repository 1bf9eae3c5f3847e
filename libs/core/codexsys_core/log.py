"""Streams of text that a task leaves behind, by byte offset."""

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.attempt import Hold

PUBLIC_STREAMS = ("setup", "agent", "verify")
PRIVATE_STREAMS = ("prompt", "llm_response")
"""Written by the gateway; they become artifacts but are not served as live logs."""
FILES = {
    "setup": "setup.log",
    "agent": "agent.log",
    "verify": "verify.log",
    "prompt": "prompt.txt",
    "llm_response": "llm_response.txt",
}
"""The artifact that a stream becomes when its task is over."""
CHUNK_BYTES = 64 * 1024


class LogChunk(BaseModel):
    """Whole lines at an offset; offsets count redacted UTF-8 bytes."""

    model_config = ConfigDict(frozen=True)

    offset: int
    text: bytes

    @property
    def end(self) -> int:
        """Return the offset after this chunk."""
        return self.offset + len(self.text)


class LogStore(Protocol):
    """The one way in for log lines. Redacts first; takes offset and row in one transaction."""

    async def append(
        self, task_id: str, sandbox_id: str, stream: str, number: int, text: bytes
    ) -> int:
        """Add a chunk of whole lines and return the offset after it.

        Senders number their chunks from 1 per (sandbox, stream); a number that is there already
        is acknowledged without effect. A sealed stream refuses (`Conflict`).
        """

    async def read(
        self, task_id: str, stream: str, after: int, *, limit_bytes: int = 1_000_000
    ) -> list[LogChunk]:
        """Return chunks from an offset on; the first is cut so that it starts exactly there."""

    async def size(self, task_id: str, stream: str) -> int:
        """Return the offset at which the next chunk will start."""

    async def seal(self, hold: Hold, stream: str) -> int | None:
        """Fenced: let nothing be added any more; return the size, None when the hold is stale.

        Idempotent. Whoever owns the task after this holder finds its streams open again.
        """


class Redactor(Protocol):
    """Takes secrets out of text that leaves a sandbox."""

    def redact(self, text: bytes) -> bytes:
        """Return the text with every known secret replaced."""
