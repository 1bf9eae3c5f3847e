"""The gateway: behind every door."""

import uvicorn

from codexsys_core.wallet import Prices
from codexsys_gateway.app import Routes, create_app
from codexsys_gateway.calls import Calls
from codexsys_gateway.control import Control
from codexsys_gateway.reports import Reports
from codexsys_gateway.tokens import Tokens
from codexsys_wiring import service
from codexsys_wiring.health import QuietServer, health_routes
from codexsys_wiring.platform import Platform, open_models, open_platform
from codexsys_wiring.service import serve
from codexsys_wiring.settings import Settings, load_settings
from codexsys_wiring.telemetry import configure_telemetry


class Gateway:
    """Serves doors until stopped."""

    def __init__(self, platform: Platform) -> None:
        settings = platform.settings
        self._routes = _routes(platform)
        config = uvicorn.Config(
            create_app(self._routes, health_routes(platform)),
            host=settings.gateway_host,
            port=settings.gateway_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
        )
        self._server = QuietServer(config)

    async def run(self) -> None:
        """Serve."""
        await self._server.serve()

    def stop(self) -> None:
        """Stop serving; doors hold their requests and try the next gateway."""
        self._routes.close()
        self._server.should_exit = True


def _routes(platform: Platform) -> Routes:
    settings = platform.settings
    calls = Calls(
        models=open_models(settings),
        wallet=platform.wallet,
        tasks=platform.tasks,
        logs=platform.logs,
        events=platform.events,
        hints=platform.hints,
        model=settings.model,
        prices=Prices(input_usd=settings.model_input_usd, output_usd=settings.model_output_usd),
        seconds=settings.model_timeout_seconds,
    )
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
        attempts=platform.attempts, sandboxes=platform.sandboxes, hints=platform.hints
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
    async with open_platform(settings) as platform:
        await serve(Gateway(platform))


def main() -> None:
    """Start a gateway alone."""
    settings = load_settings()
    configure_telemetry(settings, service="gateway")
    service.run(run(settings))
