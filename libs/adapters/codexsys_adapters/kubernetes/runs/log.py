"""The log of one container, byte for byte, over as many connections as it takes."""

import re

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d) ")
_LONGEST_STAMP = 64


class Stamped:
    """Takes what the API server says, each line behind its time, and gives the lines without it.

    A log can be asked for again from a whole second on; what was given of that second is left out then.
    """

    def __init__(self) -> None:
        self.since: str | None = None
        """The second from which on to ask again."""
        self._given = 0
        """How many bytes of that second were given."""
        self._again = 0
        """How many of them are still to come again."""
        self._head = b""
        self._in_line = False

    def reconnected(self) -> None:
        """Begin to leave out what was given."""
        self._again, self._head, self._in_line = self._given, b"", False

    def take(self, data: bytes) -> bytes:
        """Return what is new of what came."""
        new = []
        while data:
            if not self._in_line:
                data = self._begin(data)
                continue
            end = data.find(b"\n") + 1
            self._in_line = not end
            part, data = (data[:end], data[end:]) if end else (data, b"")
            part, self._again = part[self._again :], max(0, self._again - len(part))
            self._given += len(part)
            new.append(part)
        return b"".join(new)

    def _begin(self, data: bytes) -> bytes:
        """Read the time at the head of a line; return what follows it, nothing while it is not whole."""
        head = self._head + data
        found = _STAMP.match(head)
        if found is None and len(head) < _LONGEST_STAMP and b"\n" not in head:
            self._head = head
            return b""
        self._head, self._in_line = b"", True
        if found is None:  # a word of the kubelet's own
            return head
        second = (found[1] + found[2]).decode()
        if second != self.since:
            self.since, self._given, self._again = second, 0, 0
        return head[found.end() :]
