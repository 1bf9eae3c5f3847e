"""Whose door is it? A token is good while its sandbox's row is, and only for the agent's role."""

from starlette.requests import Request

from codexsys_core.principal import hash_secret
from codexsys_core.sandbox import Sandbox, SandboxRole, SandboxStore
from codexsys_gateway.refusals import STOPS, Refused

MOST_KNOWN = 4096


class Tokens:
    """Looks sandboxes up by their token."""

    def __init__(self, *, sandboxes: SandboxStore) -> None:
        self._sandboxes = sandboxes
        self._once: dict[str, Sandbox] = {}

    async def sandbox(self, request: Request) -> Sandbox:
        """Return the sandbox that asks; raises `Refused` with 401."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        hashed = hash_secret(token) if scheme.lower() == "bearer" and token else None
        row = await self._sandboxes.by_token(hashed) if hashed else None
        if hashed is None or row is None or row.role is not SandboxRole.AGENT:
            raise Refused(STOPS, "token_revoked", "This sandbox has ended.")
        if len(self._once) > MOST_KNOWN:
            self._once.clear()
        self._once[hashed] = row
        return row

    async def once(self, request: Request) -> Sandbox:
        """Return the sandbox that asks, also one that has ended since it was first seen here.

        For model calls: the ledger's own statement looks whether the row is live.
        """
        _, _, token = request.headers.get("authorization", "").partition(" ")
        return self._once.get(hash_secret(token)) or await self.sandbox(request)
