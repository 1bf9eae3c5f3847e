"""Streams of text that a task leaves behind, by byte offset."""

from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.attempt import Hold

PUBLIC_STREAMS = ("setup", "agent", "verify")
PRIVATE_STREAMS = ("prompt", "llm_response", "calls")
"""Written by the gateway; they become artifacts but are not served as live logs."""
FILES = {
    "setup": "setup.log",
    "agent": "agent.log",
    "verify": "verify.log",
    "prompt": "prompt.txt",
    "llm_response": "llm_response.txt",
    "calls": "calls.jsonl",
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


class Piece(NamedTuple):
    """A stretch of one part of what a sandbox says to a stream.

    Parts are numbered from 0 in the order of the sandbox's life: a phase's output, a note. Offsets
    are those of the part before anything was taken out of it, so that whoever reads the same
    output again numbers it in the same way.
    """

    part: int
    start: int
    end: int


class LogStore(Protocol):
    """The one way in for log lines. Redacts first; takes offset and row in one transaction."""

    async def append(
        self, task_id: str, sandbox_id: str, stream: str, number: int, text: bytes
    ) -> int:
        """Add a chunk of whole lines and return the offset after it.

        Senders number their chunks from 1 per (sandbox, stream); a number that is there already
        is acknowledged without effect. A sealed stream refuses (`Conflict`).
        """

    async def extend(
        self, task_id: str, sandbox_id: str, stream: str, piece: Piece, text: bytes
    ) -> int:
        """Add what a sandbox said, if it follows what is there; return where to go on from.

        That is `piece.end` when it was added, and when a later part has begun, so that this one
        is complete; else the offset in this part up to which the text is there already. So several
        may copy the same output, as a former owner and its heir do: each byte comes once.
        """

    async def reached(self, task_id: str, sandbox_id: str, stream: str, part: int) -> int | None:
        """Return up to which offset a part is there; None when it is complete: a later one is there."""

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
