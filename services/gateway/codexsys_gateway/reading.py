"""Bodies as JSON: bounded in bytes and in values before they are parsed, since a parser holds up everybody."""

import json
import math
from typing import Any, Never

from starlette.requests import Request

from codexsys_gateway.refusals import Refused, not_allowed

MOST_VALUES = 50_000
"""Of one body: a long conversation has some thousands, and so many are parsed in some 30 ms."""
SMALL_BYTES = 128 * 1024
"""A body that has no room for more than is parsed in a moment."""
_MIB = 1024 * 1024


async def body_of(request: Request, most: int) -> bytes:
    """Return a body; raises `Refused` once it is larger than it may be."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > most:
            raise Refused(413, "too_large", f"The body is larger than {most // _MIB} MiB.")
    return bytes(data)


async def json_of(request: Request, most: int) -> dict[str, Any]:
    """Return a body's object; raises `Refused`, `RecursionError` for one that is nested too deeply."""
    data = await body_of(request, most)
    if len(data) > SMALL_BYTES and crowded(data):
        raise Refused(413, "too_large", f"The body has more than {MOST_VALUES} values.")
    try:
        body = json.loads(data, parse_constant=_no_json, parse_float=_finite)
    except ValueError:
        raise not_allowed("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise not_allowed("The body is not a JSON object.")
    return body


def _no_json(constant: str) -> Never:
    """Refuse what Python reads and nobody else: NaN and the infinities."""
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _no_json(number)


def crowded(data: bytes) -> bool:
    """Say whether a body has too many values: commas and brackets that stand in no text are counted.

    By means that take a fixed time for each byte, whatever stands there.
    """
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 4 * MOST_VALUES:
        return True
    outside = b"".join(plain.split(b'"')[::2])
    return sum(outside.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES
