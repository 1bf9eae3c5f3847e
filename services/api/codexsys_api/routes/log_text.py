"""The text of a log, as a file and as the end that a page shows first."""

from collections.abc import AsyncGenerator
from typing import NamedTuple

from codexsys_api.stream import read_log
from codexsys_core.log import FILES
from codexsys_core.task import Task
from codexsys_wiring.platform import Platform

SHOWN_BYTES = 256 * 1024


class Tail(NamedTuple):
    """The end of a log; `cut` when something is before it."""

    text: str
    cut: bool


async def pieces(
    platform: Platform, task: Task, stream: str, after: int = 0
) -> AsyncGenerator[bytes, None]:
    """Yield a log: of a task that is over from its file, which is never in memory as a whole."""
    stored = await platform.artifacts.of_task(task.id) if task.status.terminal else []
    artifact = next((each for each in stored if each.name == FILES[stream]), None)
    if artifact is None:
        async for piece in read_log(platform, task.id, stream, after):
            yield piece
        return
    at = 0
    async for piece in platform.objects.stream(artifact.object):
        if at + len(piece) > after:
            yield piece[max(0, after - at) :]
        at += len(piece)


async def tail(platform: Platform, task: Task, stream: str) -> Tail:
    """Return as much of a log's end as a page shows first, in whole lines."""
    size = await platform.logs.size(task.id, stream)
    start = max(0, size - SHOWN_BYTES)
    found = bytearray().join(
        chunk.text for chunk in await platform.logs.read(task.id, stream, start)
    )
    if not found:  # its rows are gone: the file has it
        async for piece in pieces(platform, task, stream, start):
            found += piece
    whole = bytes(found) if start == 0 else bytes(found).partition(b"\n")[2]
    return Tail(whole.decode(errors="replace"), start > 0)
