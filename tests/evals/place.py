"""A platform in one process for evals: sandboxes are real, the model is scripted or somebody's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.evals.case import Case
from tests.support.model_server import ModelServer, Step
from tests.support.models_file import models_file
from tests.support.shop import open_shop
from tests.support.users import User

SCRIPTED = "scripted"
_PRICE = {"input_usd": 1, "output_usd": 4}
"""Of the scripts, so that costs are counted, too."""


def script(case: Case) -> list[Step]:
    """Return a case's solution as the scripted model server takes it."""
    return [
        {"tool": step["tool"], "arguments": {k: v for k, v in step.items() if k != "tool"}}
        for step in case.solution
    ]


@asynccontextmanager
async def scripted_place(folder: Path, cases: list[Case], *, jobs: int) -> AsyncIterator[User]:
    """Run a platform whose models are the cases' own solutions, each by its name."""
    with ModelServer() as server:
        server.scripts = {case.name: script(case) for case in cases}
        upstream = {
            "name": "scripts",
            "url": server.url("script"),
            "models": dict.fromkeys(server.scripts, _PRICE),
        }
        models = models_file(folder, [upstream])
        async with place(folder, jobs=jobs, models_file=models) as user:
            yield user


@asynccontextmanager
async def place(folder: Path, *, jobs: int, **settings: Any) -> AsyncIterator[User]:
    """Run a platform with what is set about its models."""
    async with open_shop(
        folder / "data", sandbox="local", worker_slots=jobs, log_level="error", **settings
    ) as (_, user):
        yield user
