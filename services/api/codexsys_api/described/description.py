"""Describes the routes as OpenAPI 3.1: bodies, answers, headers, examples, and each refusal of each operation."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from codexsys_api.described.examples import EXAMPLES, Example, problem
from codexsys_api.described.refusals import FIELD, REFUSALS, headers
from codexsys_api.problems import Problem

Json = dict[str, Any]
Needs = Mapping[Callable[..., Any], str]

_INTRODUCTION = """\
Hand in code and a wish; an agent works on it in a sandbox, the platform checks the result itself, and you take the diff.

Send your key as `Authorization: Bearer cdx_…`. Times are RFC 3339 in UTC, ids are opaque strings with a prefix, and fields that are
not known are refused. Every status from 400 on is a problem document (RFC 9457) with a stable `code`. Another tenant's things are 404.
A list has `items` and `next_cursor`; where there is more, `Link: rel="next"` leads to it.
"""
_TAGS = {
    "tasks": "What is asked for: made, followed, answered, cancelled, tried again, removed.",
    "uploads": "Places for large zips, which are sent to the store directly.",
    "artifacts": "What a task hands out: its files, and the whole tree with the change.",
    "shares": "Links that show one task to whoever has them.",
    "environments": "Named environments that tasks run in.",
    "keys": "Keys of the own tenant.",
    "platform": "The platform itself: alive, ready, who am I, what was used.",
}
_KEY = ("key_missing", "key_unknown", "key_revoked")
_BODY = ("bad_json", "too_large", "media_type", "invalid")
_MULTIPART = ("bad_multipart", "zip_refused", "store_unavailable")
_HEADERS: dict[str, tuple[str, Json]] = {
    "X-Request-Id": ("Of this answer; name it when something went wrong.", {"type": "string"}),
    "Retry-After": ("Seconds after which to ask again.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("How to say who you are.", {"type": "string"}),
    "RateLimit": ("What is left of the limit.", {"type": "string"}),
    "RateLimit-Policy": ("What is limited, and to how much.", {"type": "string"}),
    "Location": ("Where what was made is.", {"type": "string"}),
    "ETag": ("Of this state; send it as If-None-Match.", {"type": "string"}),
    "Link": ("The next page, where there is one.", {"type": "string"}),
}
_OF_STATUS = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}


def describe(
    *,
    version: str,
    routers: Sequence[APIRouter],
    bodies: Sequence[type[BaseModel]],
    needs: Needs,
) -> Json:
    """Return the description of these routes; `bodies` are what they read themselves.

    `needs` says which dependencies ask for a key, of which scope.
    """
    routes = [each for router in routers for each in router.routes]
    found = get_openapi(
        title="codexsys",
        version=version,
        summary="AI coding agents on your code, in sandboxes, with a verified result.",
        description=_INTRODUCTION,
        routes=routes,
        tags=[{"name": name, "description": said} for name, said in _TAGS.items()],
        servers=[{"url": "/", "description": "This platform"}],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = found.setdefault("components", {})
    components["schemas"] = _schemas(components.get("schemas", {}), bodies)
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key, `cdx_…`."}
    }
    components["headers"] = {
        name: {"description": said, "schema": schema, "required": True}
        for name, (said, schema) in _HEADERS.items()
    }
    used: set[str] = set()
    for route in _described(routes):
        for method in sorted(route.methods or ()):
            operation = found["paths"][route.path_format][method.lower()]
            used |= _complete(operation, route, needs)
    components["examples"] = {
        code: {"value": problem(code, REFUSALS[code][0])} for code in sorted(used)
    }
    return found


def _described(routes: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route


def _schemas(found: Json, bodies: Sequence[type[BaseModel]]) -> Json:
    for model in bodies:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found.update(schema.pop("$defs", {}))
        found[model.__name__] = schema
    found["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    found.update(found["Problem"].pop("$defs"))
    found.pop("HTTPValidationError", None)
    found.pop("ValidationError", None)
    return dict(sorted(found.items()))


def _complete(operation: Json, route: APIRoute, needs: Needs) -> set[str]:
    """Add who may call, all refusals, headers and examples; return the codes."""
    scopes = list(_scopes(route.dependant, needs))
    if scopes:
        operation["security"] = [{"key": [scopes[0]]}]
        operation["description"] += f" Needs scope `{scopes[0]}`."
    else:
        operation["security"] = []
    operation["summary"] = re.split(r"[.;:,(]", operation["description"])[0].strip()
    operation["responses"].pop("422", None)  # FastAPI's own form of it is never sent
    codes = _refusals(operation, scopes) | operation.pop(FIELD, {})
    for status in sorted({*codes.values()}):
        named = [code for code, of in codes.items() if of == status]
        operation["responses"][str(status)] = _refusal(status, named)
    for status, answer in operation["responses"].items():
        if answer["description"] == "Successful Response":
            answer["description"] = HTTPStatus(int(status)).phrase
    operation["responses"] = dict(sorted(operation["responses"].items()))
    _show(operation, EXAMPLES[route.operation_id or ""])
    return set(codes)


def _scopes(dependant: Dependant, needs: Needs) -> Iterator[str]:
    """Yield what is asked of a key, the most first."""
    for each in dependant.dependencies:
        if each.call is not None and each.call in needs:
            yield needs[each.call]
        yield from _scopes(each, needs)


def _refusals(operation: Json, scopes: Sequence[str]) -> dict[str, int]:
    codes: list[str] = []
    if scopes:
        codes += [*_KEY, "rate_limited", "internal", "database_unavailable"]
    if len(scopes) > 1:  # more than any key has
        codes.append("scope_too_low")
    for parameter in operation.get("parameters", []):
        if parameter["in"] != "path":
            codes.append("invalid")
        elif parameter["name"].endswith("_id"):
            codes.append(parameter["name"].removesuffix("_id") + "_not_found")
    if "requestBody" in operation:
        codes += _BODY
        if "multipart/form-data" in operation["requestBody"]["content"]:
            codes += _MULTIPART
    return {code: REFUSALS[code][0] for code in codes}


def _refusal(status: int, codes: Sequence[str]) -> Json:
    said = "\n".join(f"- `{code}`: {REFUSALS[code][1]}" for code in codes)
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"code": {"enum": sorted(codes)}, "status": {"const": status}}},
        ]
    }
    examples = {
        code: {"$ref": f"#/components/examples/{code}"}
        if status == REFUSALS[code][0]
        else {"value": problem(code, status)}
        for code in codes
    }
    return {
        "description": f"{HTTPStatus(status).phrase}.\n\n{said}",
        "headers": headers("X-Request-Id", *_OF_STATUS.get(status, ())),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }


def _show(operation: Json, example: Example) -> None:
    """Put an operation's examples in their places."""
    if example.request is not None:
        content: Mapping[str, Json] = operation["requestBody"]["content"]
        for media, value in example.request.items():
            content[media]["examples"] = {"usual": {"value": value}}
    for status, values in example.answers.items():
        answer = operation["responses"][str(status)]
        for media, value in values.items():
            answer["content"][media]["examples"] = {"usual": {"value": value}}
