"""Rates that all replicas share, as a script on one number a key."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from time import monotonic
from typing import Final, NamedTuple

from codexsys_adapters.redis.connection import Connection, answers
from codexsys_core.rate import Allowance, Rate
from codexsys_core.together import Together

# The generic cell rate algorithm in microseconds of the server's clock. KEYS[1] says when all that was
# taken is paid off. ARGV: what one costs, how many at once, how many are wanted at most.
TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = tonumber(redis.call('GET', KEYS[1]) or now)
if due < now then due = now end
local room = math.floor((now + interval * burst - due) / interval + 0.000001)
if room < 1 then return {0, 0, math.ceil(due + interval - now - interval * burst)} end
local taken = math.min(room, wanted)
local after = due + interval * taken
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {taken, room - taken, 0}
"""
ANSWER_SECONDS = 1.0
"""A limit that is slower than what it limits is no use."""
STOCK_SECONDS = 1.0
MOST_STOCK = 100
MOST_KEYS = 10_000


class _Stock(NamedTuple):
    left: int
    shared: int
    until: float


class RedisRates:
    """`Rates` on Redis. A process takes some at once where many are allowed, and asks again when they are used.

    Those who ask at the same moment ask with one call. What is not used within a second is lost: at
    most a twentieth of a second's worth.
    """

    def __init__(self, connection: Connection, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self._take = connection.commands.register_script(TAKE)
        self._prefix = f"{connection.namespace}:rate:"
        self._stock: dict[str, _Stock] = {}
        self._asked: Together[tuple[str, Rate], Allowance] = Together(self._together)

    async def take(self, key: str, rate: Rate) -> Allowance:
        """Take one, or say when there will be one."""
        stock = self._stock.get(key)
        if stock is None or stock.left == 0 or stock.until < monotonic():
            return await self._asked.ask((key, rate))
        self._stock[key] = stock._replace(left=stock.left - 1)
        return Allowance(stock.shared + stock.left - 1)

    async def _together(self, wishes: Sequence[tuple[str, Rate]]) -> list[Allowance]:
        wanted = Counter(wishes)
        taken = await asyncio.gather(*(self._some(*each, count) for each, count in wanted.items()))
        shares = dict(zip(wanted, taken, strict=True))
        return [shares[each].popleft() for each in wishes]

    async def _some(self, key: str, rate: Rate, count: int) -> deque[Allowance]:
        """Return what so many get, and keep what is over."""
        wanted = max(count, min(MOST_STOCK, rate.per_minute // 1200))
        taken, shared, microseconds = await self._ask(key, rate, wanted)
        if taken > count:
            self._keep(key, _Stock(taken - count, shared, monotonic() + STOCK_SECONDS))
        given = [Allowance(shared + taken - number) for number in range(1, taken + 1)]
        refused = Allowance(0, max(microseconds / 1_000_000, rate.interval * (taken > 0)))
        return deque([*given[:count], *[refused] * (count - taken)])

    def _keep(self, key: str, stock: _Stock) -> None:
        if len(self._stock) > MOST_KEYS:
            now = monotonic()
            self._stock = {each: of for each, of in self._stock.items() if of.until >= now}
        self._stock[key] = stock

    async def _ask(self, key: str, rate: Rate, wanted: int) -> tuple[int, int, int]:
        numbers = (round(rate.interval * 1_000_000), rate.burst, wanted)
        with answers():
            async with asyncio.timeout(self._answer_seconds):
                found = await self._take(keys=[f"{self._prefix}{key}"], args=numbers)
        taken, shared, microseconds = (int(part) for part in found)
        return taken, shared, microseconds
