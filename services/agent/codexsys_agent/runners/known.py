"""The runners that give a report by test."""

from codexsys_agent.runners.call import Call, Given
from codexsys_agent.runners.cargo_call import cargo_call
from codexsys_agent.runners.go_call import go_call
from codexsys_agent.runners.jest_call import jest_call
from codexsys_agent.runners.node_call import node_call
from codexsys_agent.runners.pytest_call import pytest_call
from codexsys_agent.runners.vitest_call import vitest_call


def call_of(given: Given) -> Call | None:
    """Return the call of the first runner that knows the command; None when none does."""
    for known in (pytest_call, go_call, cargo_call, node_call, jest_call, vitest_call):
        if call := known(given):
            return call
    return None
