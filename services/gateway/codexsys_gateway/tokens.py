"""Whose door is it? A token is good while its sandbox's row is, and only for what its role needs."""

from starlette.requests import Request

from codexsys_core.principal import hash_secret
from codexsys_core.sandbox import Sandbox, SandboxRole, SandboxStore
from codexsys_gateway.refusals import STOPS, Refused

MOST_KNOWN = 4096
_CALLERS = (SandboxRole.AGENT, SandboxRole.PREFLIGHT)
"""Who may ask for a model. Everything else is the agent's alone."""


class Tokens:
    """Looks sandboxes up by their token."""

    def __init__(self, *, sandboxes: SandboxStore) -> None:
        self._sandboxes = sandboxes
        self._once: dict[str, Sandbox] = {}

    async def sandbox(self, request: Request) -> Sandbox:
        """Return the agent's sandbox that asks; raises `Refused` with 401."""
        row = await self._found(request)
        if row is None or row.role is not SandboxRole.AGENT:
            raise _revoked()
        return row

    async def caller(self, request: Request) -> Sandbox:
        """Return who asks for a model, also one that has ended since it was first seen here.

        The ledger's own statement looks whether the row is live.
        """
        known = self._once.get(hash_secret(_token(request)))
        row = known or await self._found(request)
        if row is None or row.role not in _CALLERS:
            raise _revoked()
        return row

    async def _found(self, request: Request) -> Sandbox | None:
        token = _token(request)
        hashed = hash_secret(token)
        row = await self._sandboxes.by_token(hashed) if token else None
        if row is not None:
            if len(self._once) > MOST_KNOWN:
                self._once.clear()
            self._once[hashed] = row
        return row


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _revoked() -> Refused:
    return Refused(STOPS, "token_revoked", "This sandbox has ended.")
