"""Asks a gateway whether the sandbox may live on: it ends when its token is no longer good."""

import http.client
import itertools
import time
import urllib.parse
from collections.abc import Callable, Sequence

_WAIT_SECONDS = 25
_ANSWER_SECONDS = 40.0
_PAUSE_SECONDS = 2.0
_REVOKED = 401


def follow(gateways: Sequence[str], token: str, end: Callable[[], None]) -> None:
    """Poll for as long as the sandbox lives; silence means carry on until the deadline."""
    for url in itertools.cycle(gateways):
        asked = time.monotonic()
        if _status(urllib.parse.urlsplit(url), token) == _REVOKED:
            end()
            return
        time.sleep(max(0.0, _PAUSE_SECONDS - (time.monotonic() - asked)))


def _status(gateway: urllib.parse.SplitResult, token: str) -> int | None:
    kind = http.client.HTTPSConnection if gateway.scheme == "https" else http.client.HTTPConnection
    connection = kind(gateway.hostname or "", gateway.port, timeout=_ANSWER_SECONDS)
    path = f"{gateway.path.rstrip('/')}/v1/control?after=1000000000&wait={_WAIT_SECONDS}"
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
