"""An agent that searches everything for the platform's secrets, in a platform that has some."""

import asyncio
import contextlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from tests.e2e.conftest import SETTINGS
from tests.support import secret_search
from tests.support.distributed import Fleet, eventually, own_redis, required
from tests.support.left_behind import nothing_left
from tests.support.model_server import ModelServer
from tests.support.users import User, user, zipped

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
REDIS_NUMBER = 14
PROGRAM = Path(secret_search.__file__).read_text()
WAITING = "while [ ! -e /app/output/never ]; do sleep 1; done"
SEARCHING = {
    "prompt": "Search",
    "engine": "command",
    "command": "python3 search.py",
    "checks": {"strategy": "skip"},
}


def canary(name: str) -> str:
    return f"{name}-{secrets.token_hex(12)}"


@dataclass
class Planted:
    """The platform's secrets by name, as the environment of its processes has them."""

    texts: dict[str, str]

    def reversed(self, **more: str) -> str:
        return json.dumps({name: text[::-1] for name, text in (self.texts | more).items()})


@contextlib.asynccontextmanager
async def redis_user(password: str) -> AsyncIterator[str]:
    """Give Redis a user with this password; yield its name."""
    name = canary("user")
    async with Redis.from_url(required("CODEXSYS_TEST_REDIS_URL")) as redis:
        await redis.acl_setuser(
            name,
            enabled=True,
            passwords=[f"+{password}"],
            keys=["*"],
            channels=["*"],
            categories=["+@all"],
        )
        try:
            yield name
        finally:
            await redis.acl_deluser(name)


@contextlib.contextmanager
def model() -> Iterator[ModelServer]:
    with ModelServer() as running:
        running.scripts["needles"] = ["wait"]
        yield running


def backend_settings(kind: str, folder: Path) -> dict[str, str]:
    if kind == "local":
        return {}
    return {
        "CODEXSYS_SANDBOX": "docker",
        "CODEXSYS_DOCKER_HOST": required("CODEXSYS_TEST_DOCKER_HOST"),
        "CODEXSYS_SANDBOX_IMAGE": required("CODEXSYS_TEST_IMAGE"),
        "CODEXSYS_GATEWAY_SOCKETS": str(folder / "sockets"),
    }


@pytest.mark.parametrize("kind", ["local", pytest.param("docker", marks=pytest.mark.docker)])
async def test_no_secret_of_the_platform_is_found(kind: str, tmp_path: Path) -> None:
    password, key = canary("redis"), canary("sk")
    redis = urlsplit(required("CODEXSYS_TEST_REDIS_URL"))
    with model() as models:
        async with redis_user(password) as name:
            settings = SETTINGS | {
                "CODEXSYS_REDIS_URL": f"redis://{name}:{password}@{redis.hostname}:{redis.port}/{own_redis(REDIS_NUMBER)}",
                "CODEXSYS_MODEL_URL": models.url("script"),
                "CODEXSYS_MODEL": "needles",
                "CODEXSYS_MODEL_KEY": key,
                **backend_settings(kind, tmp_path),
            }
            async with Fleet(
                folder=tmp_path / "hosts", redis_number=REDIS_NUMBER, settings=settings
            ) as fleet:
                api, worker = await started(fleet)
                planted = Planted({"redis": password, "model": key} | of_servers(fleet))
                await search(fleet, api, worker, models, planted)


async def started(fleet: Fleet) -> tuple[str, Path]:
    """Start one of each; return the API's URL and the worker's folder."""
    api, worker, _, _ = await asyncio.gather(
        *(fleet.start(name, 1) for name in ("api", "worker", "gateway", "relay"))
    )
    return api.url, worker.data


def of_servers(fleet: Fleet) -> dict[str, str]:
    """Return the secrets that are in every process's environment."""
    servers = fleet.servers
    environment = fleet.environment("worker-1")
    return {
        "database": urlsplit(servers.database).path.strip("/"),
        "database address": urlsplit(servers.database).netloc,
        "broker": servers.kafka,
        "store": servers.s3_secret,
        "secret key": environment["CODEXSYS_SECRET_KEY"],
    }


async def search(
    fleet: Fleet, api: str, worker: Path, models: ModelServer, planted: Planted
) -> None:
    theirs = {name: canary(name) for name in ("code", "variable", "prompt")}
    ours = {name: canary(name) for name in ("own file", "own variable")}
    async with user(fleet.servers, api, "other") as eve, user(fleet.servers, api, "ours") as ada:
        other = await eve.submit(of_another(theirs), archive=zipped({"theirs.txt": theirs["code"]}))
        body = SEARCHING | {"environment": {"variables": {"OWN": ours["own variable"]}}}
        files = {"search.py": PROGRAM, "own.txt": ours["own file"]}
        task_id = await ada.submit(body, archive=zipped(files))
        tokens = await sandbox_tokens(worker, [other, task_id], (eve, ada))
        everything = Planted(planted.texts | theirs | ours | tokens)
        models.scripts["needles"] = [everything.reversed()]
        task = await ada.finished(task_id, seconds=120)
        log = await ada.log(task_id, "agent")
        kept = await everything_kept(ada, task_id)
        await eve.client.post(f"/api/v1/tasks/{other}/cancel")
        await eve.finished(other, seconds=60)
        for gone in (other, task_id):
            await nothing_left(fleet, gone)
    assert task["end_reason"]["code"] in ("finished", "no_change"), (task, log)
    found = set(re.findall(r"^FOUND (.*)$", log, re.M))
    assert {"own file in a file of the workspace", "own variable in environ"} <= found
    assert "own variable in memory of another process" in found
    assert {line for line in found if not line.startswith("own ")} == set()
    pieces, size = map(int, re.findall(r"^SEARCHED (\d+) (\d+)$", log, re.M)[0])
    assert pieces > 100, log
    assert size > 10_000_000, log
    secret = planted.texts | theirs | tokens
    assert [name for name, text in secret.items() if text.encode() in kept] == []


def of_another(theirs: dict[str, str]) -> dict[str, Any]:
    """Return a task of another tenant, which goes on until it is cancelled."""
    return {
        "prompt": theirs["prompt"],
        "engine": "command",
        "command": WAITING,
        "environment": {"variables": {"THEIRS": theirs["variable"]}},
        "checks": {"strategy": "skip"},
    }


def tokens_in(worker: Path) -> dict[str, str]:
    """Return the tokens that lie beside this worker's sandboxes."""
    texts = [path.read_text() for path in worker.glob("sandboxes/sbx_*/token")]
    return {f"token {number}": text for number, text in enumerate(texts) if text}


async def sandbox_tokens(worker: Path, tasks: list[str], users: tuple[User, ...]) -> dict[str, str]:
    """Wait until the agents of both tasks run; return the tokens that lie beside their sandboxes."""

    async def look() -> dict[str, str] | None:
        states = [await user.get(f"/tasks/{task}") for user, task in zip(users, tasks, strict=True)]
        assert not [state for state in states if state["end_reason"]], states
        working = all(state["phase"] in ("analyzing", "coding") for state in states)
        tokens = tokens_in(worker)
        return tokens if working and len(tokens) == len(tasks) else None

    return await eventually(look, seconds=60, what="both agents run")


async def everything_kept(user: User, task_id: str) -> bytes:
    """Return the logs and artifacts of a task."""
    parts = [(await user.log(task_id, stream)).encode() for stream in ("setup", "agent", "verify")]
    for name in await user.artifacts(task_id):
        answer = await user.client.get(
            f"/api/v1/tasks/{task_id}/artifacts/{name}", follow_redirects=True
        )
        parts.append(answer.content)
    return b"\n".join(parts)
