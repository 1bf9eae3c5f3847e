"""The gateway: behind every door."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

from starlette.applications import Starlette

from codexsys_gateway import sockets
from codexsys_gateway.app import Routes, create_app
from codexsys_gateway.calls import Calls
from codexsys_gateway.control import Control
from codexsys_gateway.records import Records
from codexsys_gateway.reports import Reports
from codexsys_gateway.tokens import Tokens
from codexsys_gateway.upstreams import Upstreams
from codexsys_wiring import service
from codexsys_wiring.health import health_routes
from codexsys_wiring.http_server import HttpServer
from codexsys_wiring.models import open_models
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.sandbox import with_sandbox
from codexsys_wiring.service import serve
from codexsys_wiring.settings import Settings, load_settings
from codexsys_wiring.telemetry import configure_telemetry

SETTLE_SECONDS = 4.0
"""How long a gateway that leaves goes on settling; a relay settles the rest, in full."""


class Gateway:
    """Serves doors until stopped."""

    def __init__(self, platform: Platform, *, listener: socket.socket | None = None) -> None:
        settings = platform.settings
        self._settings = settings
        self._calls = _calls(platform)
        self._routes = _routes(platform, self._calls)
        app = create_app(self._routes, health_routes(platform))
        self._servers = [
            self._server(
                app,
                host=settings.gateway_host,
                port=settings.gateway_port,
                listener=listener,
            )
        ]
        self._socket = sockets.new(settings.sockets) if settings.sockets else None
        if self._socket:
            self._servers.append(self._server(app, uds=str(self._socket)))

    async def run(self) -> None:
        """Serve; whichever of the listeners ends takes the other along."""
        if self._socket:
            await asyncio.to_thread(sockets.sweep, self._socket.parent)
        serving = [asyncio.create_task(server.serve()) for server in self._servers]
        try:
            await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stop()
            await asyncio.gather(*serving)
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_SECONDS):
                    await self.quiet()
            if self._socket:
                self._socket.unlink(missing_ok=True)

    async def quiet(self) -> None:
        """Return once the calls that were answered are settled and kept."""
        await self._calls.quiet()

    def stop(self) -> None:
        """Drain, then let model calls finish; doors hold their requests and try the next gateway."""
        for server in self._servers:
            server.stop()

    def _server(self, app: Starlette, **where: Any) -> HttpServer:
        return HttpServer(
            app,
            drain_seconds=self._settings.drain,
            grace_seconds=self._settings.grace,
            leaving=self._routes.close,
            **where,
        )


def _calls(platform: Platform) -> Calls:
    catalogue = platform.catalogue
    return Calls(
        upstreams=Upstreams(catalogue, open_models(platform.settings, catalogue)),
        catalogue=catalogue,
        wallet=platform.wallet,
        tasks=platform.tasks,
        records=Records(logs=platform.logs, events=platform.events, hints=platform.hints),
    )


def _routes(platform: Platform, calls: Calls) -> Routes:
    reports = Reports(
        events=platform.events,
        logs=platform.logs,
        checkpoints=platform.checkpoints,
        objects=platform.objects,
        hints=platform.hints,
        clock=platform.clock,
        ids=platform.ids,
        redactor=platform.redactor,
    )
    control = Control(
        attempts=platform.attempts,
        sandboxes=platform.sandboxes,
        messages=platform.messages,
        hints=platform.hints,
    )
    return Routes(
        tokens=Tokens(sandboxes=platform.sandboxes),
        calls=calls,
        reports=reports,
        control=control,
        tasks=platform.tasks,
        objects=platform.objects,
    )


async def run(settings: Settings) -> None:
    """Serve doors until told to stop."""
    settings.refuse_memory("gateway")
    settings = with_sandbox(settings)  # tells whether doors come by unix sockets
    async with open_platform(settings) as platform:
        await serve(Gateway(platform), grace_seconds=settings.drain + settings.grace + 5)


def main() -> None:
    """Start a gateway alone."""
    settings = load_settings()
    configure_telemetry(settings, service="gateway")
    service.run(run(settings))
