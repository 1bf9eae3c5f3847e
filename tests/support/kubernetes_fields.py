"""Which fields of an object an API server would not know."""

import re
from collections.abc import Iterator
from typing import Any

import kubernetes.client as k8s


def unknown(value: Any, kind: str, place: str) -> Iterator[str]:
    """Yield the fields that are in none of the API's models."""
    if (inner := re.fullmatch(r"list\[(.+)\]", kind)) and isinstance(value, list):
        for each in value:
            yield from unknown(each, inner[1], place)
    elif model := getattr(k8s, kind, None):
        fields = {name: own for own, name in model.attribute_map.items()}
        for name, each in value.items():
            if name not in fields:
                yield f"{place}.{name}"
            else:
                yield from unknown(each, model.openapi_types[fields[name]], f"{place}.{name}")
