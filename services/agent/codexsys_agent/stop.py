"""One request to stop, and what must be interrupted when it comes."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Stop:
    """Set once, from any thread but never from a signal handler, which could hold its lock."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._hooks: list[Callable[[], None]] = []
        self.reason = ""

    @property
    def requested(self) -> bool:
        """True from the first request on."""
        return self._event.is_set()

    def request(self, reason: str) -> None:
        """Ask the run to stop; later reasons are ignored."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            hooks = list(self._hooks)
        for hook in hooks:
            hook()

    def wait(self, seconds: float) -> bool:
        """Sleep, but not past a request; true when one came."""
        return self._event.wait(seconds)

    @contextmanager
    def interrupting(self, hook: Callable[[], None]) -> Iterator[None]:
        """Within the block, a request calls the hook, at once if it is there already."""
        with self._lock:
            self._hooks.append(hook)
            late = self._event.is_set()
        if late:
            hook()
        try:
            yield
        finally:
            with self._lock:
                self._hooks.remove(hook)


def stop_on_signals(stop: Stop) -> None:
    """Turn SIGTERM and SIGINT into a request, made by a thread and not by the handler."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def watch() -> None:
        wanted = {signal.SIGTERM, signal.SIGINT}
        with suppress(OSError):  # the pipe closes with the process
            while data := os.read(reader, 16):
                if wanted.intersection(data):
                    stop.request("told to stop by a signal")

    threading.Thread(target=watch, name="signals", daemon=True).start()
