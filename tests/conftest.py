"""Which tests may run at the same time as which, where several processes share them (`pytest -n 2 --dist loadgroup`)."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, and all that use the Docker engine, which one of them kills."""
    if not config.pluginmanager.hasplugin("xdist"):  # pytest alone knows no such mark
        return
    docker = {item.path for item in items if item.get_closest_marker("docker")}
    for item in items:
        group = "docker" if item.path in docker else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
