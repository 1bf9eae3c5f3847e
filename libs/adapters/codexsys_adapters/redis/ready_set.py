"""The fair order of waiting tasks, as three scripts on sorted sets."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from codexsys_adapters.redis.connection import Connection, answers

# KEYS[1] is the stem of all keys; its braces keep them on one node of a cluster.
#   <stem>:ring      list of tenants whose turn comes, each once
#   <stem>:tenants   set of those in the ring
#   <stem>:seq       counts entries, so that equals keep their order
#   <stem>:of:<t>    sorted set of one tenant's tasks, by priority and then by number
ADD: Final = """
local stem, added = KEYS[1], 0
for i = 1, #ARGV - 1, 3 do
  local tenant, task, priority = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local key = stem .. ':of:' .. tenant
  if not redis.call('ZSCORE', key, task) then
    local number = redis.call('INCR', stem .. ':seq')
    local score = string.format('%.0f', priority * 1099511627776 + number)
    redis.call('ZADD', key, score, task)
    added = added + 1
    if redis.call('SADD', stem .. ':tenants', tenant) == 1 then
      redis.call('RPUSH', stem .. ':ring', tenant)
    end
  end
end
if added > 0 then redis.call('PUBLISH', ARGV[#ARGV], added) end
return added
"""
POP: Final = """
local stem = KEYS[1]
while true do
  local tenant = redis.call('LPOP', stem .. ':ring')
  if not tenant then return false end
  local key = stem .. ':of:' .. tenant
  local first = redis.call('ZPOPMIN', key)
  if redis.call('EXISTS', key) == 1 then
    redis.call('RPUSH', stem .. ':ring', tenant)
  else
    redis.call('SREM', stem .. ':tenants', tenant)
  end
  if first[1] then return first[1] end
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

    async def add(self, entries: Sequence[tuple[str, str, int]]) -> int:
        """Add (tenant id, task id, priority) triples; return how many were not there yet."""
        if not entries:
            return 0
        values = [str(value) for entry in entries for value in entry]
        with answers():
            return int(await self._add(keys=[self._stem], args=[*values, self._channel]))

    async def pop(self) -> str | None:
        """Take the next task id, None when nothing waits."""
        news = self._news
        with answers():
            task_id = await self._pop(keys=[self._stem])
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
        """Forget an entry; a tenant without entries leaves the ring at its next turn."""
        with answers():
            await self._commands.zrem(f"{self._stem}:of:{tenant_id}", task_id)

    def _heard(self, _payload: str | None) -> None:
        self._news += 1
        self._changed.set()
