"""Renders the description as one page that needs no script and loads nothing from elsewhere."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

Json = Mapping[str, Any]

STYLESHEET = Path(__file__).with_name("reference.css")
_REF = "#/components/schemas/"


def page(description: Json) -> str:
    """Return the whole reference as HTML."""
    environment = Environment(
        loader=PackageLoader("codexsys_api.described", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": kind,
        "linked": _linked,
        "pretty": _pretty,
        "rules": _rules,
        "said": _said,
    }
    operations = list(_operations(description))
    tags = [
        (tag, [each for each in operations if tag["name"] in each["tags"]])
        for tag in description["tags"]
    ]
    return environment.get_template("reference.html").render(d=description, tags=tags, curl=curl)


def _operations(description: Json) -> Iterator[dict[str, Any]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield {**operation, "method": method.upper(), "path": path}


def kind(schema: Json) -> str:
    """Say in a few words what a value is."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    if "enum" in schema or "const" in schema:
        return " · ".join(str(each) for each in schema.get("enum", [schema.get("const")]))
    either = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if either:
        return " or ".join(dict.fromkeys(kind(each) for each in either))
    named = str(schema.get("format") or schema.get("type", "any"))
    if named == "array":
        return f"list of {kind(schema.get('items', {}))}"
    inner = schema.get("additionalProperties")
    return f"map of {kind(inner)}" if isinstance(inner, dict) else named


def _linked(schema: Json) -> Markup:
    """Say the same with a link to each body that is named."""
    named = sorted(set(re.findall(rf'"{_REF}(\w+)"', json.dumps(schema))), key=len)
    said = str(escape(kind(schema)))
    return Markup(  # noqa: S704 - a name of ours, and text that is escaped
        re.sub(rf"\b({'|'.join(named)})\b", r'<a href="#\1">\1</a>', said) if named else said
    )


def _said(text: str) -> Markup:
    """Return a sentence whose `words` are code."""
    return Markup(  # noqa: S704 - escaped here
        re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    )


_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "pattern": "matches {}",
    "default": "default {}",
}


def _rules(schema: Json) -> str:
    """Return a value's bounds and default."""
    return ", ".join(
        said.format(json.dumps(schema[name], ensure_ascii=False))
        for name, said in _BOUNDS.items()
        if name in schema
    )


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def curl(operation: Json) -> str:
    """Return the operation as a command for a shell."""
    parts = ["curl -sS"]
    if operation["method"] != "GET":
        parts.append(f"-X {operation['method']}")
    if operation["security"]:
        parts.append('-H "Authorization: Bearer $CODEXSYS_API_KEY"')
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        given = json.dumps(content["examples"]["usual"]["value"], ensure_ascii=False)
        parts.append(f"-H 'Content-Type: application/json' \\\n  -d {shlex.quote(given)} \\\n ")
    return " ".join([*parts, f'"$CODEXSYS_URL{operation["path"]}"'])
