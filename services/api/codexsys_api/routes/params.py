"""Parameters that many addresses share."""

import re
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request
from pydantic import BaseModel

from codexsys_api.bodies import (
    ChangeKey,
    CreateEnvironment,
    CreateKey,
    CreateShare,
    CreateTask,
    CreateUpload,
    GiveAnswer,
    RetryTask,
    SendMessage,
)
from codexsys_api.tails import Tails
from codexsys_core.errors import NotFound

_ID = re.compile(r"[a-z]{2,8}_[0-9a-z]{26}")
BODIES: tuple[type[BaseModel], ...] = (
    CreateTask,
    RetryTask,
    CreateUpload,
    GiveAnswer,
    SendMessage,
    CreateShare,
    CreateKey,
    ChangeKey,
    CreateEnvironment,
)


def known_form(text: str, what: str) -> str:
    """Return an id that can be one; what cannot be an id is not there."""
    if not _ID.fullmatch(text):
        raise NotFound(f"There is no such {what}.", code=f"{what}_not_found")
    return text


async def _task_id(task_id: Annotated[str, Path()]) -> str:
    return known_form(task_id, "task")


TaskId = Annotated[str, Depends(_task_id)]


async def tails_of(request: Request) -> Tails:
    """Return the tails of watched tasks."""
    tails: Tails = request.app.state.tails
    return tails


Watched = Annotated[Tails, Depends(tails_of)]


def _merged(field: dict[str, Any]) -> dict[str, Any]:
    """Describe a field of a merge patch: null clears it, or one of its entries."""
    entry = field.get("additionalProperties")
    if isinstance(entry, dict):
        field = {**field, "additionalProperties": {"anyOf": [entry, {"type": "null"}]}}
    return {"anyOf": [field, {"type": "null"}]}


ONCE = ("idempotency_key", "idempotency_mismatch")
"""How an operation that takes an Idempotency-Key refuses one."""
IdempotencyKey = Annotated[
    str | None,
    Header(
        description="The same key and the same body are one request, for 24 hours.",
        json_schema_extra={
            "anyOf": [{"type": "string", "pattern": r"^[ -~]{1,255}$"}, {"type": "null"}]
        },
    ),
]


def takes(
    model: type[BaseModel], *, multipart: bool = False, optional: bool = False
) -> dict[str, Any]:
    """Describe a body that we read ourselves; optional: every field of it may be left out or null."""
    schema: dict[str, Any] = {"$ref": f"#/components/schemas/{model.__name__}"}
    if optional:
        fields = model.model_json_schema(ref_template="#/components/schemas/{model}")["properties"]
        schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: _merged(field) for name, field in fields.items()},
        }
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if multipart:
        parts = {"task": schema, "file": {"type": "string", "format": "binary"}}
        form = {"type": "object", "properties": parts, "required": ["task", "file"]}
        content["multipart/form-data"] = {
            "schema": form,
            "encoding": {"task": {"contentType": "application/json"}},
        }
    required = bool(model.model_json_schema().get("required")) and not optional
    return {"requestBody": {"content": content, "required": required}}
