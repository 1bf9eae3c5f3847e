"""Which tests may run at the same time as which, where several processes share them (`pytest -n 3`)."""

from typing import Any

import pytest
from tests.support.sharing import group_of, turn


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole groups of tests."""
    from tests.support.scheduler import in_groups  # noqa: PLC0415 - it needs pytest-xdist

    return in_groups(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest; refuse a test of Docker that would run beside the others."""
    if not hasattr(config, "workerinput"):  # this process has all of them
        return
    items.sort(key=lambda item: turn(item.nodeid))
    for item in items:
        if item.get_closest_marker("docker") and group_of(item.nodeid) != "docker":
            raise pytest.UsageError(f"{item.nodeid} is not in the group of Docker: group_of")
