"""Under which names the API answers: a page elsewhere cannot have its own name lead here (DNS rebinding)."""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from codexsys_api.problems import document, respond

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^][:@/\s]+)(:\d{1,5})?", re.IGNORECASE | re.ASCII)
_PROBED = frozenset({"/healthz", "/readyz", "/metrics"})
_MISDIRECTED = 421


class Hosts:
    """Pure ASGI middleware.

    Passed on is what is asked under the public address, a configured name, `localhost`, or an address
    in digits, which is nobody's to let lead elsewhere. Programs may call the API by any name, for they
    send a key, and a page that somebody was lured to has none.
    """

    def __init__(self, app: ASGIApp, *, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(_plain(name) for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _PROBED or self._is_ours(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        said = (
            "This platform does not answer under this name. Use its own address; its operator allows "
            "others with CODEXSYS_ALLOWED_HOSTS."
        )
        problem = document(request, _MISDIRECTED, "host_not_allowed", said)
        await respond(request, problem)(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        names = []
        for name, value in scope["headers"]:
            if name == b"authorization" and scope["path"].startswith("/api/"):
                return True
            if name == b"host":
                names.append(value.decode("latin-1"))
        public = urlsplit(scope["app"].state.base_url).hostname or ""
        return all(self._is_allowed(name, _plain(public)) for name in names)

    def _is_allowed(self, given: str, public: str) -> bool:
        found = _HOST.fullmatch(given)
        host = _plain(found[1]) if found is not None else ""
        if host in self._allowed or host in ("localhost", public) or host.endswith(".localhost"):
            return bool(host)
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
