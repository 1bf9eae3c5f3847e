"""What may stand in a request to a model, whichever dialect it came in; nothing else is passed on.

An agent is offline: nothing in here may have a model's server fetch an address, run code or keep
something for others.
"""

import re
from dataclasses import dataclass
from typing import Any

from codexsys_gateway.refusals import not_allowed

_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]*")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
BYTES_PER_TOKEN = 3
"""A low count of bytes in a token, so that the estimate of the input is a high one."""


@dataclass(frozen=True)
class Wanted:
    """A call as it was asked for: all but which model answers, and the length of its answer."""

    request: dict[str, Any]
    output_tokens: int | None


def text(words: str) -> dict[str, Any]:
    """Return a part of text."""
    return {"type": "text", "text": words}


def image(url: object) -> dict[str, Any]:
    """Return a part with an image that stands in it; raises `Refused` for one that is elsewhere."""
    if not isinstance(url, str) or not _IMAGE.fullmatch(url):
        raise not_allowed("Only text and images given as data: URLs are passed on.")
    return {"type": "image_url", "image_url": {"url": url}}


def function(given: object) -> dict[str, Any]:
    """Return a tool that the agent runs itself; raises `Refused`."""
    if not isinstance(given, dict) or not _named(given.get("name")):
        raise not_allowed("Only tools of type function are passed on, each with a plain name.")
    kept: dict[str, Any] = {"name": given["name"]}
    if isinstance(given.get("description"), str):
        kept["description"] = given["description"]
    if isinstance(given.get("parameters"), dict):
        kept["parameters"] = schema(given["parameters"])
    if isinstance(given.get("strict"), bool):
        kept["strict"] = given["strict"]
    return {"type": "function", "function": kept}


def schema(value: Any) -> Any:
    """Return a JSON schema without anything that leads out of it; raises `Refused`."""
    if isinstance(value, list):
        return [schema(each) for each in value]
    if not isinstance(value, dict):
        return value
    for name in ("$ref", "$dynamicRef", "$recursiveRef"):
        if name in value and not str(value[name]).startswith("#"):
            raise not_allowed("A schema may only refer to its own parts.")
    return {name: schema(part) for name, part in value.items() if name not in ("$schema", "$id")}


def answer_format(given: object) -> dict[str, Any]:
    """Return in which form the answer is wanted: text, JSON, or JSON of a schema; raises `Refused`."""
    kind = given.get("type") if isinstance(given, dict) else None
    if not isinstance(given, dict) or kind not in ("text", "json_object", "json_schema"):
        raise not_allowed("An answer is text, json_object or json_schema.")
    if kind != "json_schema":
        return {"type": kind}
    named = given.get("json_schema", given)  # the one dialect has it a level deeper
    if not isinstance(named, dict) or not _named(named.get("name")):
        raise not_allowed("The schema of an answer has a plain name.")
    kept = {"name": named["name"], "schema": schema(named.get("schema") or {})}
    if isinstance(named.get("strict"), bool):
        kept["strict"] = named["strict"]
    return {"type": "json_schema", "json_schema": kept}


def no_more(body: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse what has no meaning here, or one that must not be; never ignore it."""
    if body.get("store") is True or body.get("background") is True:
        raise not_allowed("Nothing is stored or done in the background.")
    unknown = sorted(set(body) - known)
    if unknown:
        named = ascii(", ".join(unknown)[:200])[1:-1]
        raise not_allowed(f"Not passed on to the model: {named}.")


def length(body: dict[str, Any], *names: str) -> int | None:
    """Return the most output tokens that the engine asks for."""
    values = (body.get(name) for name in names)
    return next((v for v in values if isinstance(v, int) and v > 0), None)


def number(value: object) -> bool:
    """Say whether it is a number, and one that JSON has."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and -1e9 <= float(value) <= 1e9  # type: ignore[arg-type]


def _named(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
