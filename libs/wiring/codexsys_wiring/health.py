"""Health and metrics of services that have no HTTP of their own."""

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from codexsys_wiring.http_server import QuietServer
from codexsys_wiring.platform import Platform


class Health:
    """Serves nothing but health and metrics."""

    def __init__(self, platform: Platform) -> None:
        settings = platform.settings
        config = uvicorn.Config(
            Starlette(routes=health_routes(platform)),
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


async def troubles(platform: Platform) -> tuple[bool, dict[str, str]]:
    """Ask every part. Only without the database can nothing be served; the rest is told, and waits.

    So is a database that can be read but would not store something lately.
    """
    problems = await platform.check()
    ready = "database" not in problems
    if ready and (refused := platform.database.refusals.recent):
        problems["database"] = refused
    return ready, problems


async def readiness(platform: Platform) -> Response:
    """Say whether requests can be served, and what is wrong with which part."""
    ready, problems = await troubles(platform)
    return JSONResponse(
        {"ready": ready, "problems": problems},
        status_code=200 if ready else 503,
        headers=None if ready else {"Retry-After": "2"},
    )


def health_routes(platform: Platform) -> list[Route]:
    """Return /healthz (alive), /readyz (every part, by asking it) and /metrics."""

    async def alive(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def ready(_: Request) -> Response:
        return await readiness(platform)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    return [Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", metrics)]
