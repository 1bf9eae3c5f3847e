"""Runs a user's own Job in the foreground, in the cluster that kubectl would take."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from codexsys_adapters.kubernetes.cluster import Cluster
from codexsys_adapters.kubernetes.runs.asked import WORKSPACE, Asked, seconds_of, variables_of
from codexsys_adapters.kubernetes.runs.home import namespace_of
from codexsys_adapters.kubernetes.runs.run import Run
from codexsys_adapters.kubernetes.runs.terminal import Terminal
from codexsys_adapters.kubernetes.runs.told import Ended
from codexsys_core.clock import SystemClock
from codexsys_wiring.settings import ConfigurationError

__all__ = ["WORKSPACE", "Asked", "Ended", "Terminal", "env", "run_in_cluster", "seconds_of"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALLED = 128
_SEPARATOR = ":"


def run_in_cluster(
    asked: Asked, terminal: Terminal, *, namespace: str | None, context: str | None
) -> Ended:
    """Run it; a signal ends it, and a second one does not wait for what is put away."""
    kubeconfig = _kubeconfig()
    usual = namespace_of(kubeconfig, context)
    run = Run(
        cluster=Cluster(kubeconfig, context),
        namespace=namespace or usual,
        asked=asked,
        terminal=terminal,
        clock=SystemClock(),
    )
    return asyncio.run(_until_signalled(run))


async def _until_signalled(run: Run) -> Ended:
    task = asyncio.ensure_future(run.go())
    heard: list[int] = []

    def ended(number: int) -> None:
        heard.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for each in _SIGNALS:
        loop.add_signal_handler(each, ended, each)
    try:
        return await task
    except asyncio.CancelledError:
        if not heard:
            raise
        return Ended(_SIGNALLED + heard[0])


def env(given: Sequence[str], files: Sequence[Path]) -> dict[str, str]:
    """Return variables as Docker reads them: a name alone takes the value that it has here."""
    found: dict[str, str] = {}
    problems = []
    for path in files:
        try:
            found |= variables_of(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"--env-file: {error}")
    here: Mapping[str, str] = os.environ  # noqa: TID251 - whoever names one wants it from here
    for each in given:
        name, known, value = each.partition("=")
        if not known and name not in here:
            problems.append(f"--env: {name} is not set here; {name}=… gives it a value")
        found[name] = value if known else here.get(name, "")
    if problems:
        raise ConfigurationError(problems)
    return found


def _kubeconfig() -> Path | None:
    """Return kubectl's own, None where there is none: then this may be a pod of the cluster."""
    named = os.environ.get("KUBECONFIG")  # noqa: TID251 - kubectl's own variable
    if named:
        there = [each for each in named.split(_SEPARATOR) if each and Path(each).is_file()]
        if not there:
            raise ConfigurationError([f"KUBECONFIG: there is no file {named}"])
        return Path(_SEPARATOR.join(there))
    usual = Path.home() / ".kube/config"
    return usual if usual.is_file() else None
