"""The whole platform in one process."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codexsys_api.auth import sign_in_link
from codexsys_api.main import Api
from codexsys_cli.account import Account, ensure_account
from codexsys_cli.ports import held_ports
from codexsys_core.source import GitLogin
from codexsys_gateway.main import Gateway
from codexsys_relay.main import relay_services
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.sandbox import proven_backend
from codexsys_wiring.service import Service, serve
from codexsys_wiring.settings import Settings
from codexsys_worker.main import worker_services


@dataclass(frozen=True)
class Running:
    """The platform while it runs, and the key of whoever started it."""

    platform: Platform
    api: Api
    account: Account

    def sign_in_link(self) -> str:
        """Return a link that signs in as the owner of the key."""
        return sign_in_link(self.platform, key_id=self.account.key_id, base_url=self.api.url)


Started = Callable[[Running], None]
Companion = Callable[[Running], Service]


async def run_whole(
    settings: Settings,
    *,
    started: Started | None = None,
    companion: Companion | None = None,
    clear: bool = False,
    git_logins: Sequence[GitLogin] = (),
) -> None:
    """Run every service until told to stop, or until the companion ends.

    `clear` destroys the sandboxes that are left then: nobody will come back for them.
    """
    ports = held_ports(settings)
    settings = ports.settled(settings)
    async with open_platform(settings, git_logins=git_logins) as platform:
        api = Api(platform, listener=ports.api)
        account = await ensure_account(platform, settings.api_url)
        running = Running(platform=platform, api=api, account=account)
        backend = await proven_backend(settings)
        services: list[Service] = [
            api,
            Gateway(platform, listener=ports.gateway),
            *worker_services(platform, backend),
            *relay_services(platform),
        ]
        if companion is not None:
            services.append(companion(running))

        async def when_serving() -> None:
            await api.serving()
            if started is not None:
                started(running)

        try:
            await serve(*services, started=when_serving)
        finally:
            if clear:
                await asyncio.gather(*map(backend.destroy, await backend.list()))
