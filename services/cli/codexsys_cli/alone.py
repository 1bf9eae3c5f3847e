"""A platform that is there for one command: everything in one folder, nothing of the operator's servers."""

from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from codexsys_wiring.backends import wheels
from codexsys_wiring.settings import ConfigurationError, Settings

_EMBEDDED: dict[str, Any] = {
    "database_url": "",
    "queue_url": "memory:",
    "redis_url": "memory:",
    "store_url": "",
    "public_url": "",
    "gateway_url": "",
    "api_host": "127.0.0.1",
    "gateway_host": "127.0.0.1",
    "api_port": 0,
    "gateway_port": 0,
}


def alone(settings: Settings, folder: Path, **chosen: Any) -> Settings:
    """Return the settings of a platform in this folder.

    What was laid down for sandboxes is found by the user's settings, not by the folder.
    """
    own = {"data_dir": folder, "sandbox_wheels": wheels(settings)}
    return settings.model_copy(update=_EMBEDDED | own | chosen)


def with_ways(settings: Settings, networks: Sequence[str], *, http: bool) -> Settings:
    """Return settings that let these networks, and plain HTTP, be reached beside what they allow."""
    problems = []
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            problems.append(f"--allow-network {error}")
    if problems:
        raise ConfigurationError(problems)
    more = {
        "allow_networks": [*settings.allow_networks, *networks],
        "allow_http_git": settings.allow_http_git or http,
    }
    return settings.model_copy(update=more)
