"""Who we are at a Git server: told to git by a helper that reads its environment, never by a URL or a command line."""

import hashlib
from collections.abc import Sequence

from codexsys_adapters.outbound import Outbound, Target
from codexsys_core.source import GitLogin

_USER, _PASSWORD = "GIT_LOGIN_USER", "GIT_LOGIN_PASSWORD"
# A shell's own printf: no process is started that would show the values.
_HELPER = (
    """!say() { test "$1" != get || printf 'username=%s\\npassword=%s\\n' """
    f"""\"${_USER}\" \"${_PASSWORD}\"; }}; say"""
)


class Logins:
    """Each is given to git for its own server alone: the same scheme, host and port."""

    def __init__(self, logins: Sequence[GitLogin], outbound: Outbound) -> None:
        self._by_server = {_server(outbound.vet(login.url)): login for login in logins}

    def environment(self, target: Target) -> dict[str, str]:
        """Return what the helper reads."""
        login = self._by_server.get(_server(target))
        if login is None:
            return {}
        return {_USER: login.user, _PASSWORD: login.password.get_secret_value()}

    def configuration(self, target: Target) -> dict[str, str]:
        """Return what makes git ask the helper."""
        server = _server(target)
        return {f"credential.{server}.helper": _HELPER} if server in self._by_server else {}

    def mark(self, target: Target) -> str:
        """Return what tells mirrors apart that were fetched as somebody else; empty for nobody."""
        told = "\0".join(self.environment(target).values())
        return hashlib.sha256(told.encode()).hexdigest() if told else ""


def _server(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{target.scheme}://{host}:{target.port}"
