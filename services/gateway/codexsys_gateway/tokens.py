"""Whose door is it? A token is good while its sandbox's row is, and only for the agent's role."""

from starlette.requests import Request

from codexsys_core.principal import hash_secret
from codexsys_core.sandbox import Sandbox, SandboxRole, SandboxStore
from codexsys_gateway.refusals import STOPS, Refused


class Tokens:
    """Looks sandboxes up by their token."""

    def __init__(self, *, sandboxes: SandboxStore) -> None:
        self._sandboxes = sandboxes

    async def sandbox(self, request: Request) -> Sandbox:
        """Return the sandbox that asks; raises `Refused` with 401."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        row = (
            await self._sandboxes.by_token(hash_secret(token))
            if scheme.lower() == "bearer" and token
            else None
        )
        if row is None or row.role is not SandboxRole.AGENT:
            raise Refused(STOPS, "token_revoked", "This sandbox has ended.")
        return row
