"""Ports that are ours from the moment they are found."""

import socket
from dataclasses import dataclass

from codexsys_cli.output import say
from codexsys_wiring.settings import Settings

_TRIES = 100


@dataclass(frozen=True)
class Ports:
    """Where the API and the gateway will answer; they listen already, so that nobody else gets them."""

    api: socket.socket
    gateway: socket.socket

    def settled(self, settings: Settings) -> Settings:
        """Return the settings with these ports: both addresses are fixed before anything opens."""
        chosen = {"api_port": _number(self.api), "gateway_port": _number(self.gateway)}
        return settings.model_copy(update=chosen)


def held_ports(settings: Settings) -> Ports:
    """Take the ports that the settings name, or the next ones that are free, and say so."""
    return Ports(
        api=_told("API", settings.api_host, settings.api_port),
        gateway=_told("gateway", settings.gateway_host, settings.gateway_port),
    )


def _told(name: str, host: str, wanted: int) -> socket.socket:
    taken = _listening(host, wanted)
    if wanted not in (0, _number(taken)):
        say(f"Port {wanted} is taken; the {name} listens on {_number(taken)}.")
    return taken


def _listening(host: str, wanted: int) -> socket.socket:
    """Listen on the wanted port, or the next one that is free; 0 finds any."""
    for port in range(wanted, wanted + _TRIES) if wanted else (0,):
        try:
            return socket.create_server((host, port), family=_family(host), backlog=2048)
        except OSError:
            continue
    raise OSError(f"no port from {wanted} to {wanted + _TRIES - 1} is free on {host}")


def _number(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
