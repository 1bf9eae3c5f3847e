"""What clients send: strict models, and readers that take no more than they may."""

import re
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)
from pydantic_core import from_json

from codexsys_api.problems import OBJECT, TEXT, invalid
from codexsys_core.environment import UNSAID, EnvironmentGiven
from codexsys_core.errors import FieldError, Invalid, TooLarge
from codexsys_core.limits import Limits
from codexsys_core.share import DEFAULT_PARTS, Part
from codexsys_core.source import LONGEST_REF, is_ref
from codexsys_core.task import Requirements, Start
from codexsys_core.verdict import Checks

JSON_BYTES = 1 << 20
M = TypeVar("M", bound=BaseModel)
_LABEL = re.compile(r"[A-Za-z0-9._/-]{1,63}")
_ENVIRONMENT_ID = re.compile(r"env_[0-9a-z]{26}")


def _said(text: str) -> str:
    if not text.strip():
        message = "say what should be done"
        raise ValueError(message)
    return text


def _said_something(text: str) -> str:
    if not text.strip():
        message = "say something"
        raise ValueError(message)
    return text


def _a_ref(text: str) -> str:
    if not is_ref(text):
        message = "give the name of a branch or tag, or a commit's 40 digits"
        raise ValueError(message)
    return text


def _labels(given: dict[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if not _LABEL.fullmatch(name) or len(value) > 63:
            message = f"{name[:80]!r}: names are 1 to 63 of A-Z a-z 0-9 . _ / -, values at most 63 characters"
            raise ValueError(message)
    return given


def _kept(text: str) -> str:
    if not _ENVIRONMENT_ID.fullmatch(text):
        message = "give the id of an environment (env_…), or an object"
        raise ValueError(message)
    return text


def _named(text: str) -> str:
    if text != text.strip() or not text.isprintable() or _ENVIRONMENT_ID.fullmatch(text):
        message = "a name is printable, begins and ends with no space, and is no id"
        raise ValueError(message)
    return text


EnvironmentChoice = Annotated[
    Annotated[str, AfterValidator(_kept), Tag(TEXT)] | Annotated[EnvironmentGiven, Tag(OBJECT)],
    Discriminator(lambda given: TEXT if isinstance(given, str) else OBJECT),
]


class Body(BaseModel):
    """A JSON body: no unknown field, no wrong type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class GitBody(Body):
    """A Git repository by URL."""

    url: str = Field(min_length=1, max_length=2048)
    ref: Annotated[str, AfterValidator(_a_ref)] | None = Field(
        default=None, min_length=1, max_length=LONGEST_REF
    )
    submodules: bool = False


class ZipBody(Body):
    """A zip that was sent to the store directly."""

    upload_id: str = Field(min_length=1, max_length=64)
    """What `POST /uploads` gave. It is used once."""


class SourceBody(Body):
    """Exactly one of these."""

    git: GitBody | None = None
    zip: ZipBody | None = None
    task: str | None = Field(default=None, max_length=64)


_CHECKS, _REQUIREMENTS, _LIMITS = Checks(), Requirements(), Limits()
"""Nobody changes them: they are made once for all bodies that leave them out."""


class CreateTask(Body):
    """A new task."""

    prompt: Annotated[str, AfterValidator(_said)] = Field(max_length=200_000)
    source: SourceBody | None = None
    """Left out in a multipart request: its part `file` is the source."""
    mode: Literal["modify", "explain", "pull_request"] = "modify"
    environment: EnvironmentChoice = Field(default_factory=lambda: UNSAID)
    """The id of a kept one, which is copied into the task, or one for this task alone."""
    checks: Checks = Field(default_factory=lambda: _CHECKS)
    engine: Literal["builtin", "command"] = "builtin"
    model: str | None = Field(default=None, min_length=1, max_length=200)
    command: str | None = Field(default=None, min_length=1, max_length=262_144)
    """The bash script of engine `command`."""
    requirements: Requirements = Field(default_factory=lambda: _REQUIREMENTS)
    clarify: Literal["ask", "assume", "never"] = "ask"
    """Whether a person is asked: by the agent, and before it begins where the task says too little."""
    answer_within_seconds: int = Field(default=86_400, ge=60, le=2_592_000)
    limits: Limits = Field(default_factory=lambda: _LIMITS)
    priority: int = Field(default=5, ge=0, le=9)
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(
        default_factory=dict, max_length=32
    )


class CreateUpload(Body):
    """A new place for a zip."""

    filename: str | None = Field(default=None, min_length=1, max_length=255)
    """What the zip is called, to be shown with its task."""


class RetryTask(Body):
    """What may be other than in the task that is retried."""

    limits: Limits | None = None
    start_from: Start = "checkpoint"
    """The work so far, or the source as it is now (a Git ref is found anew)."""


class CreateShare(Body):
    """A new share link."""

    expires_in: int = Field(default=604_800, ge=60, le=7_776_000)
    parts: list[Part] = Field(
        default_factory=lambda: list(DEFAULT_PARTS), min_length=1, max_length=6
    )


class GiveAnswer(Body):
    """An answer to an open question."""

    question: str = Field(min_length=1, max_length=32)
    answer: str = Field(min_length=1, max_length=10_000)


class SendMessage(Body):
    """A note to the agent."""

    text: Annotated[str, AfterValidator(_said_something)] = Field(min_length=1, max_length=10_000)


_Scope = Literal["read", "write", "admin"]


class CreateKey(Body):
    """A new key."""

    name: str = Field(min_length=1, max_length=100)
    scope: _Scope = "admin"
    """What it may do: `read` looks, `write` also makes and changes, `admin` also manages keys."""


class ChangeKey(Body):
    """What is to be other about a key; what is left out stays."""

    name: str | None = Field(default=None, min_length=1, max_length=100)
    scope: _Scope | None = None


class CreateEnvironment(EnvironmentGiven):
    """A new environment."""

    name: Annotated[str, AfterValidator(_named)] = Field(min_length=1, max_length=100)


_LATER = ("deliver", "webhook", "reuse", "attempts_in_parallel")


def refuse_later(given: Mapping[str, Any]) -> None:
    """Refuse what has its name already and comes later: never ignored."""
    found = [f"/{name}" for name in _LATER if name in given]
    source = given.get("source")
    if isinstance(source, dict) and isinstance(source.get("git"), dict):
        found += ["/source/git/credential"] if "credential" in source["git"] else []
    if found:
        fields = [FieldError(pointer, "This is not available yet.") for pointer in found]
        raise Invalid(f"{found[0]} is not available yet.", code="not_available_yet", fields=fields)
    if given.get("mode") == "pull_request":
        field = FieldError("/mode", "No forge is configured; use modify and take the diff.")
        raise Invalid(
            "No forge is configured for pull requests.", code="forge_not_configured", fields=[field]
        )


def read(model: type[M], raw: bytes | str | Mapping[str, Any]) -> M:
    """Read a JSON text, or what was one, as a model."""
    given = raw if isinstance(raw, Mapping) else _parse(raw)
    if model is CreateTask and isinstance(given, dict):
        refuse_later(given)
    try:
        return model.model_validate(given, strict=True)
    except ValidationError as error:
        raise invalid(error) from error


def _parse(raw: bytes | str) -> Any:
    try:
        return _whole(from_json(raw, allow_inf_nan=False))
    except ValueError as error:
        raise Invalid(f"The body is not JSON: {error}", code="bad_json") from error


def _whole(value: Any) -> Any:
    """Return 28.0 as 28: JSON has one kind of number, and our models are strict about theirs."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list) else value


async def read_json(request: Request, model: type[M]) -> M:
    """Read a request's body; an empty one is an empty object."""
    return read(model, await _text(request, {"application/json"}))


async def read_object(request: Request) -> dict[str, Any]:
    """Read a merge patch: any JSON object."""
    given = _parse(await _text(request, {"application/json", "application/merge-patch+json"}))
    if not isinstance(given, dict):
        raise Invalid("Send a JSON object.", fields=[FieldError("", "Send a JSON object.")])
    return given


async def _text(request: Request, types: set[str]) -> bytes:
    raw = b"".join([piece async for piece in capped(request, JSON_BYTES)])
    if raw and media_type(request) not in types:
        raise Invalid("Send application/json.", code="media_type")
    return raw or b"{}"


def media_type(request: Request) -> str:
    """Return the body's media type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def capped(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """Yield the body; raise `TooLarge` as soon as it is known to be more than it may be."""
    refusal = TooLarge(f"The body is larger than {most:,} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise refusal
    seen = 0
    async for piece in request.stream():
        seen += len(piece)
        if seen > most:
            raise refusal
        yield piece
