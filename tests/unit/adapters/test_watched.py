"""Processes counted from outside, while they come and go."""

import subprocess

from codexsys_adapters.local.watched import WatchedGroup

BRIEF = "i=0; while [ $i -lt 2000 ]; do (exit 0) & i=$((i+1)); done; wait"


def test_processes_that_end_while_they_are_counted_do_no_harm() -> None:
    group = WatchedGroup(memory=1 << 40, pids=10_000)
    with subprocess.Popen(["sh", "-c", BRIEF]) as program:
        while program.poll() is None:
            assert group.look(program.pid) is None
    assert program.returncode == 0
