"""Asks a gateway whether the sandbox may live on: it ends when its token is no longer good."""

import http.client
import time
from collections.abc import Callable

from codexsys_adapters.walls.gateways import Gateway, Gateways, rounds

_WAIT_SECONDS = 25
_ANSWER_SECONDS = 40.0
_PAUSE_SECONDS = 2.0
_REVOKED = 401


def follow(gateways: Gateways, token: str, end: Callable[[], None]) -> None:
    """Poll for as long as the sandbox lives; silence means carry on until the deadline."""
    for gateway in rounds(gateways):
        asked = time.monotonic()
        if gateway and _status(gateway, token) == _REVOKED:
            end()
            return
        time.sleep(max(0.0, _PAUSE_SECONDS - (time.monotonic() - asked)))


def _status(gateway: Gateway, token: str) -> int | None:
    connection = gateway.open(_ANSWER_SECONDS)
    path = f"{gateway.prefix}/v1/control?after=1000000000&wait={_WAIT_SECONDS}"
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
