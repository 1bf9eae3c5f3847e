"""Copying what a phase says into a log: whole lines, by offsets that another worker can go on from."""

from codexsys_core.log import CHUNK_BYTES, LogStore, Piece, Redactor
from codexsys_core.ready import Hints


class Lines:
    """The logs as sandboxes write them; whoever follows one hears of each piece at once."""

    def __init__(self, *, logs: LogStore, hints: Hints) -> None:
        self._logs = logs
        self._hints = hints

    async def reached(self, task_id: str, sandbox_id: str, stream: str, part: int) -> int | None:
        """Return up to which offset a part is there; None when it is complete."""
        return await self._logs.reached(task_id, sandbox_id, stream, part)

    async def extend(
        self, task_id: str, sandbox_id: str, stream: str, piece: Piece, text: bytes
    ) -> int:
        """Add what follows what is there; return where to go on from."""
        offset = await self._logs.extend(task_id, sandbox_id, stream, piece, text)
        await self._hints.tell(f"task:{task_id}")
        return offset


class Copy:
    """One part of a sandbox's stream, and how much of it is there already.

    Where somebody else copies the same part, as an owner that does not know yet that it lost the
    attempt, each goes on from where the other came to.
    """

    def __init__(
        self,
        *,
        lines: Lines,
        redactor: Redactor,
        task_id: str,
        sandbox_id: str,
        stream: str,
        part: int,
    ) -> None:
        self._lines = lines
        self._redactor = redactor
        self._of = (task_id, sandbox_id, stream)
        self._part = part
        self._offset = 0
        self._held = b""

    @property
    def wants(self) -> int:
        """Return the offset from which more is wanted."""
        return self._offset + len(self._held)

    async def resume(self) -> bool:
        """Go on from what is there; False when the part is complete."""
        reached = await self._lines.reached(*self._of, self._part)
        self._offset = reached or 0
        return reached is not None

    async def add(self, text: bytes) -> None:
        """Take more, and pass on what are whole lines, or too much to be held for one."""
        self._held += text
        size = self._held.rfind(b"\n") + 1
        if not size and len(self._held) >= CHUNK_BYTES:
            size = CHUNK_BYTES
        if size:
            await self._send(size)

    async def end(self) -> None:
        """Pass on what is left, as a line."""
        if self._held:
            await self._send(len(self._held), b"\n")

    async def _send(self, size: int, more: bytes = b"") -> None:
        piece = Piece(self._part, self._offset, self._offset + size)
        text = self._redactor.redact(self._held[:size] + more)
        self._offset = await self._lines.extend(*self._of, piece, text)
        self._held = self._held[size:] if self._offset == piece.end else b""
