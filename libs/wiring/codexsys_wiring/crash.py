"""Crash points: a process that dies, as by kill -9, before or after a named call of a port. For tests of recovery.

`CODEXSYS_CRASH_AT=attempts.end:before` with `CODEXSYS_TESTING=1`. Every step of a task's life ends in
a call of some port, so nothing in the services has to know of this.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import fields, replace
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from codexsys_wiring.settings import ConfigurationError, crash_at

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from codexsys_core.sandbox import SandboxBackend

T = TypeVar("T")
Ports = TypeVar("Ports", bound="DataclassInstance")
_BACKEND = "backend"
_WHENS = ("before", "after")
_MAY_MISS = ("claim", "adopt")
"""Calls that say by an empty answer that another was first, and that nothing has happened."""


def crashing_platform(platform: Ports) -> Ports:
    """Return a platform's ports with the crash point in them that the environment names, if it names one."""
    text = crash_at()
    name, method, when = _parsed(text)
    if not text or name == _BACKEND:
        return platform
    if name not in {field.name for field in fields(platform)}:
        raise ConfigurationError([f"CODEXSYS_CRASH_AT: there is no port {name}"])
    return replace(platform, **{name: _crashing(getattr(platform, name), method, when)})


def crashing_backend(backend: "SandboxBackend") -> "SandboxBackend":
    """Return the backend, with a crash point if the environment names one of its calls."""
    name, method, when = _parsed(crash_at())
    return _crashing(backend, method, when) if name == _BACKEND else backend


def _parsed(text: str) -> tuple[str, str, str]:
    call, _, when = text.partition(":")
    name, _, method = call.partition(".")
    if text and (not method or when not in _WHENS):
        raise ConfigurationError(["CODEXSYS_CRASH_AT: not of the form port.method:before|after"])
    return name, method, when


def _crashing(port: T, method: str, when: str) -> T:
    if not iscoroutinefunction(getattr(port, method, None)):
        problem = f"CODEXSYS_CRASH_AT: {type(port).__name__} has no awaited call {method}"
        raise ConfigurationError([problem])
    crashing: Any = _Crashing(port, method, when)
    return crashing  # type: ignore[no-any-return]


class _Crashing:
    """A port of which one call is the process's last."""

    def __init__(self, port: object, method: str, when: str) -> None:
        self._port = port
        self._method = method
        self._when = when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._last(found) if name == self._method else found

    def _last(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def called(*arguments: Any, **named: Any) -> Any:
            answer = await call(*arguments, **named) if self._when == "after" else True
            if answer or self._method not in _MAY_MISS:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return called
