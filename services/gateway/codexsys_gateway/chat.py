"""Answers in the shape of chat completions, streamed and whole."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from codexsys_core.model import ModelError, whole
from codexsys_gateway.calls import refused
from codexsys_gateway.streams import event

Chunks = AsyncGenerator[dict[str, Any], None]


async def answered(chunks: Chunks) -> dict[str, Any]:
    """Return the whole completion; raises `Refused`."""
    async with aclosing(chunks):
        try:
            return whole([chunk async for chunk in chunks])
        except ModelError as error:
            raise refused(error) from error


async def streamed(chunks: Chunks) -> AsyncGenerator[bytes, None]:
    """Return the events of a stream once it has begun; raises `Refused` until then."""
    try:
        first = await anext(chunks)
    except ModelError as error:
        raise refused(error) from error
    return _events(first, chunks)


async def _events(first: dict[str, Any], rest: Chunks) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield event(first)
        try:
            async for chunk in rest:
                yield event(chunk)
        except ModelError as error:
            yield event(refused(error).body)
            return
    yield b"data: [DONE]\n\n"
