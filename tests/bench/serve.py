"""Our services as they start alone, on topics of the benchmark's own."""

import os
import sys
from dataclasses import replace

from codexsys_adapters.kafka import KafkaQueue
from codexsys_api.main import Api
from codexsys_core.clock import SystemClock
from codexsys_gateway.main import Gateway
from codexsys_relay.main import relay_services
from codexsys_wiring import service
from codexsys_wiring.backends import open_backend
from codexsys_wiring.platform import open_platform
from codexsys_wiring.service import Service, serve
from codexsys_wiring.settings import load_settings
from codexsys_wiring.telemetry import configure_telemetry
from codexsys_worker.main import worker_services


async def run(name: str) -> None:
    settings = load_settings()
    configure_telemetry(settings, service=name)
    queue = KafkaQueue(
        bootstrap=settings.queue_url.removeprefix("kafka://"),
        clock=SystemClock(),
        suffix=os.environ["CODEXSYS_TEST_BENCH_SUFFIX"],
    )
    async with open_platform(settings) as opened, queue:
        platform = replace(opened, queue=queue)
        services: list[Service]
        if name == "api":
            services = [Api(platform)]
        elif name == "gateway":
            services = [Gateway(platform)]
        elif name == "relay":
            services = relay_services(platform)
        else:
            services = worker_services(platform, open_backend(settings))
        await serve(*services)


if __name__ == "__main__":
    service.run(run(sys.argv[1]))
