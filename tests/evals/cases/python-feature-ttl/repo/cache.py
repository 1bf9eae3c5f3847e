"""A cache that forgets what was not used for the longest time."""

from collections import OrderedDict


class Cache:
    """At most `size` entries."""

    def __init__(self, size):
        self._size = size
        self._entries = OrderedDict()

    def put(self, key, value):
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def get(self, key, default=None):
        if key not in self._entries:
            return default
        self._entries.move_to_end(key)
        return self._entries[key]
