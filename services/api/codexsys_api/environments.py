"""Environments by name: made, shown without their secrets, changed, and copied into tasks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from codexsys_api.bodies import CreateEnvironment, read
from codexsys_api.idempotency import promised
from codexsys_core.environment import Environment, EnvironmentFields, EnvironmentGiven
from codexsys_core.errors import Conflict, FieldError, Invalid, NotFound
from codexsys_core.named_environment import NamedEnvironment
from codexsys_core.principal import Principal
from codexsys_core.secret import SecretUnreadable
from codexsys_wiring.platform import Platform

MOST_SECRETS = 200
_MERGED = ("variables", "mirrors", "network")
_TRIES = 5


class EnvironmentBody(EnvironmentFields):
    """A kept environment; of its setup variables only the names are ever shown."""

    id: str
    name: str
    setup_variables: list[str]
    created_at: datetime
    updated_at: datetime


class EnvironmentList(BaseModel):
    """One page of environments."""

    items: list[EnvironmentBody]
    next_cursor: str | None


def environment_body(named: NamedEnvironment) -> EnvironmentBody:
    """Return what is shown of an environment."""
    fields = {name: getattr(named.environment, name) for name in EnvironmentFields.model_fields}
    return EnvironmentBody(
        **fields,
        id=named.id,
        name=named.name,
        setup_variables=sorted(named.environment.setup_variables),
        created_at=named.created_at,
        updated_at=named.updated_at,
    )


class Environments:
    """What the routes of environments and the submitter do with them."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def create(
        self, principal: Principal, body: CreateEnvironment, key: str | None
    ) -> NamedEnvironment:
        """Store one, or return the one that was made with the same key."""
        store, secrets = self._platform.environments, self._platform.secrets
        promise = promised(key, body, secrets)
        known = await store.known(principal.tenant_id, promise) if promise else None
        if known is not None:
            return known
        new_id, now = self._platform.ids.new("env"), self._platform.clock.now()
        named = NamedEnvironment(
            id=new_id,
            tenant_id=principal.tenant_id,
            name=body.name,
            environment=body.sealed(secrets, row=new_id),
            created_at=now,
            updated_at=now,
        )
        return await store.add(named, promise)

    async def update(
        self, principal: Principal, environment_id: str, patch: Mapping[str, Any]
    ) -> NamedEnvironment:
        """Merge a patch (RFC 7396) into what is stored, whoever else changes it meanwhile."""
        for _ in range(_TRIES):
            old = await self._platform.environments.get(
                environment_id, tenant_id=principal.tenant_id
            )
            new = self._changed(old, patch)
            if await self._platform.environments.replace(new):
                return new
        raise Conflict(
            "Others change this environment all the time; try again.", code="environment_busy"
        )

    def _changed(self, old: NamedEnvironment, patch: Mapping[str, Any]) -> NamedEnvironment:
        body = read(CreateEnvironment, _merged(old, patch))
        fresh = body.sealed(self._platform.secrets, row=old.id)
        kept = _without(old.environment.setup_variables, patch) | fresh.setup_variables
        if len(kept) > MOST_SECRETS:
            raise _wrong("/setup_variables", f"There can be {MOST_SECRETS} at most.")
        return old.model_copy(
            update={
                "name": body.name,
                "environment": fresh.model_copy(update={"setup_variables": kept}),
                "revision": old.revision + 1,
                "updated_at": self._platform.clock.now(),
            }
        )

    async def copied(
        self, principal: Principal, given: str | EnvironmentGiven, *, row: str
    ) -> Environment:
        """Return the environment of a new task, sealed for the task's row."""
        secrets = self._platform.secrets
        if isinstance(given, EnvironmentGiven):
            return given.sealed(secrets, row=row)
        try:
            named = await self._platform.environments.get(given, tenant_id=principal.tenant_id)
            return named.environment.moved(secrets, row=named.id, to=row)
        except (NotFound, SecretUnreadable) as error:
            raise _wrong("/environment", error.message, code=error.code) from error


def _merged(old: NamedEnvironment, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patched body; of the secrets only the new ones."""
    given = old.environment.model_dump(mode="json", exclude={"setup_variables"})
    given["name"] = old.name
    known = {*given, "setup_variables"}
    for field, value in patch.items():
        if value is None and field in known:
            given.pop(field, None)
        elif field in (*_MERGED, "setup_variables") and isinstance(value, dict):
            both = {**given.get(field, {}), **value}
            given[field] = {name: part for name, part in both.items() if part is not None}
        else:
            given[field] = value
    return given


def _without(secrets: Mapping[str, str], patch: Mapping[str, Any]) -> dict[str, str]:
    """Return the stored secrets that a patch leaves alone."""
    given = patch.get("setup_variables", {})
    return {} if given is None else {k: v for k, v in secrets.items() if k not in given}


def _wrong(pointer: str, detail: str, *, code: str = "invalid") -> Invalid:
    return Invalid(detail, code=code, fields=[FieldError(pointer, detail)])
