"""The fair order of waiting tasks, as scripts on sorted sets."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

from codexsys_adapters.redis.connection import Connection, answers
from codexsys_core.ready import Waiting

# Start-time fair queueing: each tenant has a turn, a number. Who has the smallest is next, and its
# next turn lies 1 / weight further on. KEYS[1] is the stem of all keys; its braces keep them on one
# node of a cluster.
#   <stem>:of:<t>    sorted set of one tenant's tasks, by turn_at in microseconds
#   <stem>:turns     sorted set of tenants that have tasks, by their turn
#   <stem>:left      the same of tenants that have none now: who comes back goes on from there
#   <stem>:clock     the turn that was taken last; nobody starts before it
#   <stem>:weights   hash of tenants' weights
ADD: Final = """
local stem, added = KEYS[1], 0
local clock = redis.call('GET', stem .. ':clock') or '0'
for i = 1, #ARGV - 1, 3 do
  local tenant, task, turn_at = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('ZADD', stem .. ':of:' .. tenant, 'NX', turn_at, task) == 1 then
    added = added + 1
  end
  if not redis.call('ZSCORE', stem .. ':turns', tenant) then
    local left = redis.call('ZSCORE', stem .. ':left', tenant)
    local turn = clock
    if left and tonumber(left) > tonumber(clock) then turn = left end
    redis.call('ZADD', stem .. ':turns', turn, tenant)
    redis.call('ZREM', stem .. ':left', tenant)
  end
end
if added > 0 then redis.call('PUBLISH', ARGV[#ARGV], added) end
return added
"""
# ARGV are the tenants that are full. Those are looked at and passed over, page by page.
POP: Final = """
local stem, full = KEYS[1], {}
for i = 1, #ARGV do full[ARGV[i]] = true end
local clock = redis.call('GET', stem .. ':clock') or '0'
redis.call('ZREMRANGEBYSCORE', stem .. ':left', '-inf', '(' .. clock)
local from = 0
while true do
  local page = redis.call('ZRANGE', stem .. ':turns', from, from + 63, 'WITHSCORES')
  if #page == 0 then return false end
  from = from + 64
  for i = 1, #page, 2 do
    local tenant, turn = page[i], page[i + 1]
    if not full[tenant] then
      local key = stem .. ':of:' .. tenant
      local first = redis.call('ZPOPMIN', key)
      if not first[1] then
        redis.call('ZREM', stem .. ':turns', tenant)
        from = from - 1
      else
        if tonumber(turn) < tonumber(clock) then turn = clock end
        redis.call('SET', stem .. ':clock', turn)
        local weight = tonumber(redis.call('HGET', stem .. ':weights', tenant) or '1')
        local next_turn = string.format('%.17g', tonumber(turn) + 1 / weight)
        if redis.call('EXISTS', key) == 1 then
          redis.call('ZADD', stem .. ':turns', next_turn, tenant)
        else
          redis.call('ZREM', stem .. ':turns', tenant)
          redis.call('ZADD', stem .. ':left', next_turn, tenant)
        end
        return first[1]
      end
    end
  end
end
"""


class RedisReadySet:
    """`ReadySet` on Redis. Raises `Unavailable` while Redis is away, except from `wait`."""

    def __init__(self, connection: Connection) -> None:
        self._commands = connection.commands
        self._stem = f"{{{connection.namespace}:ready}}"
        self._channel = f"{connection.namespace}:ready"
        self._add = self._commands.register_script(ADD)
        self._pop = self._commands.register_script(POP)
        self._hub = connection.hub
        self._news = 0
        self._seen = 0
        self._changed = asyncio.Event()
        self._hub.add(self._channel, self._heard)

    async def add(self, entries: Sequence[Waiting]) -> int:
        """Add entries; return how many were not there yet."""
        if not entries:
            return 0
        values: list[str] = []
        for entry in entries:
            microseconds = round(entry.turn_at.timestamp() * 1_000_000)
            values += [entry.tenant_id, entry.task_id, str(microseconds)]
        with answers():
            return int(await self._add(keys=[self._stem], args=[*values, self._channel]))

    async def weigh(self, weights: Mapping[str, float]) -> None:
        """Set the weights of these tenants; one that was never named has weight 1."""
        if weights:
            told = [text for tenant, weight in weights.items() for text in (tenant, str(weight))]
            with answers():
                await self._commands.hset(f"{self._stem}:weights", items=told)

    async def pop(self, *, full: Collection[str] = ()) -> str | None:
        """Take the next task id of a tenant that is not full; None when there is none."""
        news = self._news
        with answers():
            task_id = await self._pop(keys=[self._stem], args=sorted(full))
        if task_id is None:
            self._seen = news  # what was told since then is still news to wait()
            return None
        return str(task_id)

    async def wait(self, timeout_seconds: float) -> None:
        """Return when something may be there, at the latest after the timeout."""
        with suppress(TimeoutError):  # time over is an answer, too
            async with asyncio.timeout(timeout_seconds):
                await self._hub.join(self._channel)
                while self._news == self._seen:
                    self._changed.clear()
                    await self._changed.wait()

    async def discard(self, tenant_id: str, task_id: str) -> None:
        """Forget an entry; a tenant without entries leaves the order at its next turn."""
        with answers():
            await self._commands.zrem(f"{self._stem}:of:{tenant_id}", task_id)

    def _heard(self, _payload: str | None) -> None:
        self._news += 1
        self._changed.set()
