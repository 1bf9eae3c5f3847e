"""The API as a service."""

import asyncio
import socket

from fastapi import FastAPI

from codexsys_api.app import create_app
from codexsys_api.condition import LOOK_SECONDS, Condition
from codexsys_wiring import service
from codexsys_wiring.folders import Folders
from codexsys_wiring.http_server import HttpServer
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.service import Repeat, serve
from codexsys_wiring.settings import Settings, load_settings
from codexsys_wiring.telemetry import configure_telemetry

ANSWER_SECONDS = 1.0
"""Of silence, which leaves half a second for all else: whoever asks hears within a second and a half."""


class Api:
    """Serves the API and the pages until stopped."""

    def __init__(self, platform: Platform, *, listener: socket.socket | None = None) -> None:
        self._settings = platform.settings
        self.app: FastAPI = create_app(platform)
        self._server = HttpServer(
            self.app,
            host=self._settings.api_host,
            port=self._settings.api_port,
            drain_seconds=self._settings.drain,
            grace_seconds=self._settings.grace,
            leaving=self.app.state.streams.close,
            listener=listener,
        )
        condition: Condition = self.app.state.condition
        self._looks = Repeat(condition.look, seconds=LOOK_SECONDS, name="condition")
        self._serving = asyncio.Event()

    @property
    def url(self) -> str:
        """Return where people reach it; the real port is known once it serves."""
        base: str = self.app.state.base_url
        return base

    async def run(self) -> None:
        """Serve until stopped."""
        folders: Folders = self.app.state.folders
        await asyncio.to_thread(folders.open)
        watching = asyncio.create_task(self._started())
        looking = asyncio.create_task(self._looks.run())
        try:
            await self._server.serve()
        finally:
            watching.cancel()
            self._looks.stop()
            await looking
            await self.app.state.submitter.close()
            await asyncio.to_thread(folders.close)

    def stop(self) -> None:
        """Drain, then take no more requests and end streams."""
        self._server.stop()

    async def serving(self) -> None:
        """Return when requests are answered."""
        await self._serving.wait()

    async def _started(self) -> None:
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.01)
        if not self._settings.public_url:
            port = self._server.servers[0].sockets[0].getsockname()[1]
            self.app.state.base_url = f"http://{self._settings.api_host}:{port}"
        self._serving.set()


async def run(settings: Settings) -> None:
    """Serve the API alone."""
    settings.refuse_memory("api")
    async with open_platform(settings, answer_seconds=ANSWER_SECONDS) as platform:
        await serve(Api(platform), grace_seconds=settings.drain + settings.grace + 5)


def main() -> None:
    """Start the API alone."""
    settings = load_settings()
    configure_telemetry(settings, service="api")
    service.run(run(settings))
