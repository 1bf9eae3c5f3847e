"""One attempt to escape: what it tries, and what must be seen of it in each phase."""

import errno
import os
import signal
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

_SECONDS = 30
T = TypeVar("T")


@dataclass(frozen=True)
class Told:
    """What an attempt is told about the host, so that it knows what to look for."""

    paths: list[str] = field(default_factory=list)
    """Files and folders of the host and of other sandboxes."""
    sockets: list[str] = field(default_factory=list)
    """Unix sockets that somebody listens on, outside."""
    abstract: list[str] = field(default_factory=list)
    """Names of abstract sockets that the host and other sandboxes listen on."""
    loopback: list[int] = field(default_factory=list)
    """Ports that somebody listens on, on the host's loopback and in other sandboxes."""
    addresses: list[str] = field(default_factory=list)
    """`host:port` at which the host's services answer beside loopback."""
    pids: list[int] = field(default_factory=list)
    """Processes of the host."""
    keys: list[int] = field(default_factory=list)
    """System V keys that are in use outside."""
    queues: list[str] = field(default_factory=list)
    """Names of POSIX message queues outside."""
    words: list[str] = field(default_factory=list)
    """Must be found nowhere: folders of the platform, marks of other tasks."""


Try = Callable[[Told], str]


@dataclass(frozen=True)
class Attempt:
    """One row of the table."""

    name: str
    about: str
    agent: str | None
    """What must be seen in the agent phase, alternatives joined by `or`; None: not tried there."""
    setup: str | None
    run: Try

    def wrong(self, phase: str, answer: str) -> bool:
        """Say whether the answer is none that the phase may give."""
        allowed = (self.agent if phase == "agent" else self.setup) or ""
        return not set(answer.split(" and ")) <= set(allowed.split(" or "))


class Table:
    """The attempts of one group, in order."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def attempt(
        self,
        about: str,
        both: str | None = None,
        *,
        agent: str | None = None,
        setup: str | None = None,
    ) -> Callable[[Try], Try]:
        """Add a function as an attempt; `both` stands for the two phases."""

        def add(run: Try) -> Try:
            self.add(run.__name__, about, run, agent=agent or both, setup=setup or both)
            return run

        return add

    def add(
        self, name: str, about: str, run: Try, *, agent: str | None = None, setup: str | None = None
    ) -> None:
        """Add an attempt that has no function of its own."""
        self.attempts.append(Attempt(name, about, agent, setup, run))


def outcome(call: Callable[[], object]) -> str:
    """Return the name of the error, `open` when there was none."""
    try:
        call()
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "open"


def all_of(answers: Iterable[str]) -> str:
    """Return the different answers, each once."""
    return " and ".join(sorted(set(answers))) or "nothing"


def each(call: Callable[[T], object], things: Iterable[T]) -> str:
    """Return the different outcomes of one call for several things."""
    return all_of(outcome(partial(call, thing)) for thing in things)


def found(things: Iterable[object]) -> str:
    """Return `nothing`, or the first of what should not be there."""
    listed = [str(thing) for thing in things]
    return ", ".join(listed[:8]) + (f" … ({len(listed)})" if len(listed) > 8 else "") or "nothing"


def tried(attempt: Attempt, told: Told) -> str:
    """Run one attempt in a process of its own; its death is an answer, too."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.alarm(_SECONDS)
        try:
            answer = attempt.run(told)
        except BaseException as error:
            answer = f"{error!r} at {traceback.extract_tb(error.__traceback__)[-1].lineno}"
        os.write(write, answer.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return answer if code == 0 else signal.Signals(-code).name
