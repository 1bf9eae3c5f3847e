"""Environments on containers, through the API: servers beside the sandbox, images that are refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.distributed import Fleet, required
from tests.support.users import User, user, zipped

pytestmark = [
    pytest.mark.docker,
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

FILES = {"README.md": "# A shop\n", "check.sh": "grep -q 'of the service' word.txt\n"}
SERVE = "import http.server as h, os; os.chdir('/run'); open('word', 'w').write(os.environ['WORD']); h.test(h.SimpleHTTPRequestHandler, port=5432, bind='127.0.0.1')"
ASK = "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:5432/word').read().decode())\""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def who(docker_fleet: Fleet) -> AsyncIterator[User]:
    api = docker_fleet.named("api")[0]
    async with user(docker_fleet.servers, api.url, "environments in containers") as made:
        yield made


async def done(who: User, environment: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {
        "prompt": "A codemod.",
        "engine": "command",
        "command": f"{ASK} > word.txt",
        "environment": environment,
    }
    task_id = await who.submit(body | more, archive=zipped(FILES))
    return await who.finished(task_id, seconds=200)


async def test_a_service_beside_agent_and_checks(who: User) -> None:
    service = {
        "name": "words",
        "image": required("CODEXSYS_TEST_IMAGE"),
        "command": ["python3", "-c", SERVE],
        "variables": {"WORD": "of the service"},
        "port": 5432,
    }
    checks = {"command": f"{ASK} | grep -q 'of the service' && bash check.sh"}
    task = await done(who, {"services": [service]}, checks=checks)
    assert (task["status"], task["verdict"]) == ("succeeded", "unverified"), task["end_reason"]


async def test_an_image_that_is_not_allowed(who: User) -> None:
    task = await done(who, {"image": "somebody/elses:1"}, checks={"strategy": "skip"})
    assert task["end_reason"]["code"] == "image_not_allowed"
    assert "somebody/elses:1" in task["end_reason"]["detail"]
