"""Changes to a shop whose runner of tests comes from npm, judged by a platform with real sandboxes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.npm_packages import lay_down
from tests.support.place import Place, open_place
from tests.support.shops import Shop

from codexsys_core.environment import Environment
from codexsys_core.task import Task
from codexsys_core.verdict import Checks


class Judged:
    """What became of each change; the first one leaves its setup to the others."""

    def __init__(self, place: Place, shop: Shop) -> None:
        self.place = place
        self._shop = shop
        self._submitted: dict[str, str] = {}

    async def of(self, name: str) -> Task:
        if not self._submitted:
            first, *others = self._shop.changes
            self._submitted[first] = await self._submit(first)
            await self.place.until(self._submitted[first], seconds=280)
            self._submitted |= {each: await self._submit(each) for each in others}
        return await self.place.until(self._submitted[name], seconds=280)

    async def _submit(self, name: str) -> str:
        change = self._shop.changes[name]
        return await self.place.submit(
            await self.place.zip_source(self._shop.files),
            command=change.script,
            environment=Environment(setup=self._shop.setup, network={"setup": "none"}),
            checks=Checks.model_validate({"command": self._shop.command} | change.checks),
        )


@asynccontextmanager
async def open_judged(folder: Path, shop: Shop, packages: str) -> AsyncIterator[Judged]:
    """Run a platform whose sandboxes find these packages, and judge the changes that are asked for."""
    laid = folder / "packages"
    laid.mkdir()
    await asyncio.to_thread(lay_down, laid, packages)
    laid.chmod(0o755)
    async with open_place(
        folder / "data", sandbox="local", sandbox_wheels=laid, worker_slots=3
    ) as place:
        yield Judged(place, shop)
