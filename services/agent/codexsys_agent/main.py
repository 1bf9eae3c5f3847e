"""The agent's main: brief, network check, engine, last checkpoint, exit code."""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from codexsys_agent.brief import Brief, read_brief
from codexsys_agent.checkpoint import Checkpoints
from codexsys_agent.control import Control
from codexsys_agent.door import Door
from codexsys_agent.ending import Ending, Exit
from codexsys_agent.engines import builtin, command
from codexsys_agent.errors import BriefError
from codexsys_agent.leave import leave_outputs, leave_state
from codexsys_agent.model import Pace
from codexsys_agent.network import ways_out
from codexsys_agent.private_git import PrivateGit
from codexsys_agent.report import Events, say
from codexsys_agent.run import Places, Run
from codexsys_agent.session import Session
from codexsys_agent.shell import child_environment
from codexsys_agent.stop import Stop, stop_on_signals
from codexsys_agent.worktree import Worktree

_ENGINES = {"builtin": builtin.drive, "command": command.drive}
_LARGEST_FILE = 32 << 20
_PLACES = ("code", "output", "input", "base")


def main(arguments: list[str]) -> int:
    """Check that the sandbox is closed, then work on the brief."""
    given = _given(arguments)
    places = Places(**{name: getattr(given, name) for name in _PLACES})
    ways = [] if given.open_network else ways_out()
    if ways:
        say(f"refused: the network is open: {', '.join(ways)}")
        return Exit.NETWORK_OPEN
    stop = Stop()
    stop_on_signals(stop)
    own = os.environ  # noqa: TID251 - the sandbox's environment is the task's
    return work(places, child_environment(own), stop)


def work(places: Places, env: Mapping[str, str], stop: Stop, pace: Pace | None = None) -> int:
    """One run from the brief to the exit code."""
    try:
        brief = read_brief(places.input / "brief.json")
    except BriefError as error:
        say(f"refused: {error}")
        return Exit.BROKEN
    with tempfile.TemporaryDirectory(prefix="agent-", dir=places.scratch) as scratch:
        return _worked(brief, places, Path(scratch), env, stop, pace or Pace()).exit


def _worked(
    brief: Brief,
    places: Places,
    scratch: Path,
    env: Mapping[str, str],
    stop: Stop,
    pace: Pace,
) -> Ending:
    door = Door(brief.door, stop=stop, patience=pace.patience_seconds)
    control = Control(door, stop)
    events = Events(door, close_seconds=pace.close_seconds, first_number=brief.first_number)
    checkpoints = Checkpoints(
        door=door,
        worktree=_worktree_of(brief, places, scratch),
        every_seconds=brief.checkpoint_seconds,
        close_seconds=pace.close_seconds,
        first_number=brief.first_number,
    )

    def keep_step(session: Session) -> None:
        checkpoints.offer(session.steps, session.state())
        leave_state(places.output, brief, session)

    run = Run(
        brief=brief,
        places=places,
        scratch=scratch,
        env=env,
        door=door,
        events=events,
        stop=stop,
        pace=pace,
        inbox=control.take_notes,
        on_step=keep_step,
        change=checkpoints.change,
    )
    checkpoints.start(brief.resume, brief.made_by_setup)
    control.start()
    ending = _ENGINES[brief.engine](run)
    _close(run, ending, checkpoints)
    stop.request("the run is over")
    control.close()
    return ending


def _worktree_of(brief: Brief, places: Places, scratch: Path) -> Callable[[], Worktree] | None:
    def opened() -> Worktree:
        git = PrivateGit(base=places.base, scratch=scratch)
        return Worktree(code=places.code, git=git, largest=_LARGEST_FILE)

    return opened if brief.mode == "modify" else None


def _close(run: Run, ending: Ending, checkpoints: Checkpoints) -> None:
    checkpoints.offer(run.session.steps, run.session.state())
    try:
        leave_outputs(run.places.output, run.brief, run.session, ending)
    except OSError as error:
        say(f"output: not written: {error}")
    run.events.add(
        "agent.finished",
        status=ending.status,
        exit=int(ending.exit),
        summary=ending.summary[:2000],
        detail=ending.detail[:500],
        steps=run.session.steps,
    )
    checkpoints.close()
    run.events.close()
    say(f"codexsys agent: {ending.status}" + (f" ({ending.detail})" if ending.detail else ""))


def _given(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="codexsys_agent")
    default = Places()
    for name in _PLACES:
        parser.add_argument(f"--{name}", type=Path, default=getattr(default, name))
    parser.add_argument(
        "--open-network", action="store_true", help="there is no sandbox, as was said"
    )
    return parser.parse_args(arguments)
