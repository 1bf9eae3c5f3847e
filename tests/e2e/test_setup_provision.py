"""What setup's programs are told of the world outside, in real sandboxes; later phases are told nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.authority import make_authority
from tests.support.place import Place, open_place, reason

from codexsys_core.end_reasons import EndReason
from codexsys_core.environment import EnvironmentGiven
from codexsys_core.verdict import Checks

pytestmark = pytest.mark.asyncio(loop_scope="module")
LOOK = """
echo "proxy $HTTPS_PROXY pip $PIP_INDEX_URL npm $NPM_CONFIG_REGISTRY level $LEVEL token ${TOKEN:-none}"
echo "bundle $SSL_CERT_FILE $(grep -c BEGIN "${SSL_CERT_FILE:-/dev/null}")"
if [ -e "$HOME/.cargo/config.toml" ]; then echo "cargo told"; fi
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("provision")
    authority, _ = await asyncio.to_thread(make_authority, folder / "ca")
    settings: dict[str, Any] = {
        "sandbox": "local",
        "setup_mirrors": {"npm": "https://npm.example", "pip": "https://operator.example"},
        "setup_ca_file": authority,
    }
    async with open_place(folder / "data", **settings) as opened:
        yield opened


async def ended(place: Place, environment: dict[str, Any], **spec: Any) -> Any:
    source = await place.zip_source({"setup.sh": "echo theirs\n" + LOOK})
    given = EnvironmentGiven.model_validate({"network": {"setup": "none"}} | environment)
    return await place.ended(source, environment=given, checks=Checks(strategy="skip"), **spec)


async def test_setup_is_told_and_the_agent_is_not(place: Place, tmp_path: Path) -> None:
    own, _ = await asyncio.to_thread(make_authority, tmp_path / "ca")
    environment = {
        "setup": LOOK,
        "certificates": own.read_text(),
        "proxy": "http://proxy.example:3128",
        "mirrors": {"pip": "https://pip.example/simple", "cargo": "https://crates.example"},
        "variables": {"LEVEL": "debug"},
        "setup_variables": {"TOKEN": "a-secret-of-setup"},
    }
    task = await ended(place, environment, command=LOOK + "echo x > made")
    assert reason(task) is EndReason.FINISHED
    mine, theirs = (await place.text(task.id, "setup")).split("theirs\n")
    told = "proxy http://proxy.example:3128 pip https://pip.example/simple npm https://npm.example"
    assert f"{told} level debug token [redacted]" in mine
    assert f"{told} level debug token none" in theirs
    for log in (mine, theirs):
        assert "cargo told" in log
        bundle = log.partition("bundle /tmp/")[2].splitlines()[0]
        assert int(bundle.rpartition(" ")[2]) >= 2
    agent = await place.text(task.id, "agent")
    assert "proxy  pip  npm  level debug token none" in agent
    assert "bundle  0" in agent


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"image": "python:3.12"}, EndReason.IMAGE_UNUSABLE),
        (
            {"services": [{"name": "db", "image": "postgres", "port": 5432}]},
            EndReason.SERVICES_NOT_SUPPORTED,
        ),
    ],
)
async def test_what_local_sandboxes_do_not_have_is_refused(
    place: Place, environment: dict[str, Any], wanted: EndReason
) -> None:
    assert reason(await ended(place, environment)) is wanted
