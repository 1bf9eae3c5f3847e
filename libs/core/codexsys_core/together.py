"""One call for many callers: whoever asks while one is under way goes with the next."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from codexsys_core.errors import Unavailable

Wish = TypeVar("Wish")
Answer = TypeVar("Answer")


class Together(Generic[Wish, Answer]):
    """Grants wishes in batches. Whoever comes first goes at once, and alone.

    A wish is granted by a call that began after it was made, so nobody hears of a past that was over
    when they asked. `grant` answers each wish in order, with an answer or with what to raise. What it
    raises itself all of its batch hear; those who wait behind it hear it, too, when a part is away:
    later they would hear nothing else.
    """

    def __init__(
        self,
        grant: Callable[[Sequence[Wish]], Awaitable[Sequence[Answer | Exception]]],
        *,
        most: int = 100,
    ) -> None:
        self._grant = grant
        self._most = most
        self._waiting: list[tuple[Wish, asyncio.Future[Answer]]] = []
        self._granting: asyncio.Task[None] | None = None

    async def ask(self, wish: Wish) -> Answer:
        """Return what came of the wish."""
        hoped: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, hoped))
        if self._granting is None or self._granting.done():
            # In a context of its own: what it logs is not the first caller's alone.
            self._granting = asyncio.create_task(self._run(), context=contextvars.Context())
        return await hoped

    async def _run(self) -> None:
        while self._waiting:
            batch = [each for each in self._waiting[: self._most] if not each[1].done()]
            del self._waiting[: self._most]
            try:
                answers = await self._grant([wish for wish, _ in batch]) if batch else []
            except Exception as error:
                if isinstance(error, Unavailable):
                    batch += self._waiting
                    self._waiting = []
                answers = [error] * len(batch)
            for (_, hoped), answer in zip(batch, answers, strict=True):
                _tell(hoped, answer)


def _tell(hoped: "asyncio.Future[Answer]", answer: Answer | Exception) -> None:
    if hoped.done():  # nobody waits for it any more
        return
    if isinstance(answer, Exception):
        hoped.set_exception(answer)
    else:
        hoped.set_result(answer)
