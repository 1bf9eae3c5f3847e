"""The ready set and hints on Redis, or on its twin inside the process."""

from codexsys_adapters.redis.connection import Connection, open_redis
from codexsys_adapters.redis.hints import RedisHints
from codexsys_adapters.redis.rates import RedisRates
from codexsys_adapters.redis.ready_set import RedisReadySet

__all__ = ["Connection", "RedisHints", "RedisRates", "RedisReadySet", "open_redis"]
