"""The description is the committed one, is whole, and its examples are what it describes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from codexsys_api.app import description
from codexsys_api.described import as_text
from codexsys_api.described.page import page
from codexsys_api.described.refusals import REFUSALS

DESCRIBED = description()
ROOT = Path(__file__).parents[3]


def operations() -> Iterator[dict[str, Any]]:
    for methods in DESCRIBED["paths"].values():
        yield from methods.values()


def shown(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yield each example of an operation with its schema."""
    places = [("takes", operation.get("requestBody", {})), *operation["responses"].items()]
    for name, place in places:
        for media, content in place.get("content", {}).items():
            if media == "text/event-stream":
                continue  # the schema is of one event, the example a piece of the stream
            for which, example in content.get("examples", {}).items():
                yield f"{name} {media} {which}", content["schema"], resolved(example)["value"]


def resolved(found: dict[str, Any]) -> dict[str, Any]:
    part: Any = DESCRIBED
    for name in found.get("$ref", "#").split("/")[1:]:
        part = part[name]
    return part if "$ref" in found else found


OF_EACH = pytest.mark.parametrize(
    "operation", list(operations()), ids=lambda each: str(each["operationId"])
)


def test_openapi_json_is_in_step() -> None:
    assert (ROOT / "openapi.json").read_text() == as_text(DESCRIBED), "run make docs"


def test_it_is_openapi_3_1_with_stable_and_distinct_names() -> None:
    assert DESCRIBED["openapi"].startswith("3.1.")
    names = [operation["operationId"] for operation in operations()]
    assert len(set(names)) == len(names)
    for operation in operations():
        assert operation["summary"]
        assert operation["description"].endswith((".", ")"))
        assert operation["tags"]


@OF_EACH
def test_an_operation_has_examples_and_every_refusal(operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        for media, content in answer.get("content", {}).items():
            binary = content["schema"].get("format") == "binary"
            assert binary or content["examples"], f"{status} {media} has no example"
        if status >= "400" and operation["tags"] != ["platform"]:
            assert "application/problem+json" in answer["content"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert content["examples"]
    if operation["security"]:
        assert {"401", "500", "503"} <= set(operation["responses"])


@OF_EACH
def test_an_example_is_what_is_described(operation: dict[str, Any]) -> None:
    for name, schema, value in shown(operation):
        whole = {**schema, "components": DESCRIBED["components"]}
        problems = [each.message for each in jsonschema_rs.iter_errors(whole, value)]
        assert not problems, f"{name}: {problems}"


def test_every_refusal_of_the_table_is_one_of_some_operation() -> None:
    assert set(DESCRIBED["components"]["examples"]) == set(REFUSALS)


def test_the_page_shows_every_operation_and_loads_nothing_from_elsewhere() -> None:
    shown = page(DESCRIBED)
    for operation in operations():
        assert f'<article id="{operation["operationId"]}">' in shown
    loaded = re.findall(r'(?:src|href)="([^"#][^"]*)"', shown)
    assert all(each.startswith(("/", "data:,")) and each[:2] != "//" for each in loaded), loaded
    assert not re.search(r"<script|<style|\sstyle=", shown)
