"""A fleet at work, and the clients that keep it so: how every long chaos run begins."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, closing
from pathlib import Path

from tests.chaos.clients import Clients
from tests.chaos.history import History
from tests.support.distributed import Fleet
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.users import make_key, zipped

FILES = {"README.md": "# A shop\n\nSells things.\n"}


@asynccontextmanager
async def clients_of(
    fleet: Fleet, services: Collection[str], history: Path, *, seed: int, sandbox: str
) -> AsyncIterator[Clients]:
    """Start the services; give clients that have a repository and a zip to hand in."""
    repositories = fleet.folder.parent / "git"
    make_repository(repositories / "shop", FILES)
    with GitHttpServer(repositories) as git, closing(History(history)) as kept:
        async with fleet:
            await asyncio.gather(*(fleet.start(name[:-2], int(name[-1])) for name in services))
            clients = Clients(
                history=kept,
                urls=[each.url for each in fleet.named("api")],
                key=await make_key(fleet.servers, "ours"),
                archive=zipped(FILES),
                git_url=git.url("shop"),
                seed=seed,
                sandbox=sandbox,
            )
            try:
                yield clients
            finally:
                await clients.close()
