"""What routes are given: the platform, where people reach it, and the open streams.

They are coroutines although they wait for nothing: FastAPI runs plain functions in threads.
"""

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from codexsys_api.workspaces import Workspaces
from codexsys_wiring.platform import Platform


class Streams:
    """All streams that are open; closing ends them, so that a shutdown need not wait."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()
        self.closing = False

    def add(self, bell: asyncio.Event) -> None:
        """Ring this bell when everything closes."""
        self._bells.add(bell)

    def discard(self, bell: asyncio.Event) -> None:
        """Forget a bell."""
        self._bells.discard(bell)

    def close(self) -> None:
        """End all streams."""
        self.closing = True
        for bell in self._bells:
            bell.set()


async def platform_of(request: Request) -> Platform:
    """Return the open platform."""
    platform: Platform = request.app.state.platform
    return platform


async def base_of(request: Request) -> str:
    """Return the address at which people reach the API and its pages."""
    base: str = request.app.state.base_url
    return base


async def streams_of(request: Request) -> Streams:
    """Return the open streams."""
    streams: Streams = request.app.state.streams
    return streams


async def workspaces_of(request: Request) -> Workspaces:
    """Return what makes tasks' work so far."""
    workspaces: Workspaces = request.app.state.workspaces
    return workspaces


Opened = Annotated[Platform, Depends(platform_of)]
Address = Annotated[str, Depends(base_of)]
Open = Annotated[Streams, Depends(streams_of)]
Workbench = Annotated[Workspaces, Depends(workspaces_of)]
