"""Health and metrics of services that have no HTTP of their own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typing_extensions import override

from codexsys_wiring.platform import Platform


class QuietServer(uvicorn.Server):
    """An HTTP server in our own loop: signals are `serve`'s business."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        """Leave signal handlers alone."""
        yield


class Health:
    """Answers /healthz (alive), /readyz (every part, by asking it) and /metrics."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        settings = platform.settings
        routes = [
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
            Route("/metrics", self._metrics),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            host=settings.health_host,
            port=settings.health_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
        self._server = QuietServer(config)

    async def run(self) -> None:
        """Serve until stopped."""
        await self._server.serve()

    def stop(self) -> None:
        """Stop serving."""
        self._server.should_exit = True

    async def _alive(self, _: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def _ready(self, _: Request) -> Response:
        problems = await asyncio.wait_for(self._platform.check(), 10)
        return JSONResponse({"ready": not problems, "problems": problems}, status_code=503 if problems else 200)

    async def _metrics(self, _: Request) -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

