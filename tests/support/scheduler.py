"""The order in which several processes of one run of tests are given its groups: pytest-xdist's, of groups of our own."""

from typing import Any

import pytest
from tests.support.sharing import group_of
from xdist.scheduler import LoadScopeScheduling


class _InGroups(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def in_groups(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Return what hands groups to processes, in the order of the tests."""
    config.option.loadscopereorder = False
    return _InGroups(config, log)
