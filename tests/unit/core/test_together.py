"""Many who ask at once are answered with one call, each truthfully."""

import asyncio
from collections.abc import Sequence

import pytest

from codexsys_core.errors import Conflict, NotFound, Unavailable
from codexsys_core.together import Together


class Calls:
    """Grants a wish by its square, once it is let."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.let = asyncio.Event()
        self.failure: Exception | None = None

    async def grant(self, wishes: Sequence[int]) -> list[int | Exception]:
        self.seen.append(list(wishes))
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        return [each * each if each else NotFound("nothing") for each in wishes]


async def asking(together: Together[int, int], *wishes: int) -> list["asyncio.Task[int]"]:
    """Ask, and return when all have asked."""
    asked = [asyncio.create_task(together.ask(each)) for each in wishes]
    for _ in range(3):
        await asyncio.sleep(0)
    return asked


async def test_the_first_goes_at_once_and_the_others_together() -> None:
    calls = Calls()
    together: Together[int, int] = Together(calls.grant, most=3)
    first = await asking(together, 1)
    assert calls.seen == [[1]]
    rest = await asking(together, 2, 3, 4, 5)
    calls.let.set()
    assert await asyncio.gather(*first, *rest) == [1, 4, 9, 16, 25]
    assert calls.seen == [[1], [2, 3, 4], [5]]


async def test_each_hears_its_own_failure() -> None:
    calls = Calls()
    together: Together[int, int] = Together(calls.grant)
    first = await asking(together, 1)
    rest = await asking(together, 0, 2)
    calls.let.set()
    found = await asyncio.gather(*first, *rest, return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (1, NotFound, 4)


async def test_who_gives_up_takes_nobody_along() -> None:
    calls = Calls()
    together: Together[int, int] = Together(calls.grant)
    first, *rest = await asking(together, 1) + await asking(together, 2, 3)
    first.cancel()
    rest[0].cancel()
    calls.let.set()
    assert await rest[1] == 9
    assert calls.seen == [[1], [3]]


@pytest.mark.parametrize(("failure", "behind"), [(Unavailable("away"), 0), (Conflict("no"), 1)])
async def test_a_part_that_is_away_is_said_to_those_who_wait_too(
    failure: Exception, behind: int
) -> None:
    calls = Calls()
    calls.failure = failure
    together: Together[int, int] = Together(calls.grant)
    asked = await asking(together, 1) + await asking(together, 2)
    calls.let.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in found] == [type(failure)] * 2
    assert len(calls.seen) == 1 + behind
    calls.failure = None
    assert await together.ask(3) == 9
