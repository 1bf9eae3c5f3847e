"""`?check=true` connects, says what is wrong with a source, and makes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.api_service import Served, free_port, serving
from tests.support.git_http import GitHttpServer, git, make_repository

from codexsys_api.main import run
from codexsys_wiring.settings import ConfigurationError, Settings


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    allowed = {"allow_networks": ["127.0.0.0/8"], "allow_http_git": True}
    async with serving(tmp_path / "data", **allowed) as api:
        yield api


async def checked(served: Served, url: str, ref: str | None = None) -> tuple[int, str]:
    """Return status and code (or the commit) of a check."""
    body = {"prompt": "x", "source": {"git": {"url": url, "ref": ref}}}
    answer = await served.client.post("/api/v1/tasks?check=true", json=body)
    found = answer.json()
    assert (await served.client.get("/api/v1/tasks")).json()["items"] == []
    return answer.status_code, str(found.get("code") or found["source"]["commit"])


async def test_each_fault_of_a_source_has_its_code(served: Served, tmp_path: Path) -> None:
    root = tmp_path / "root"
    make_repository(root / "a", {"a.py": "1\n"})
    (root / "empty").mkdir()
    git(root / "empty", "init", "-q")
    commit = git(root / "a", "rev-parse", "HEAD")
    aside = {"/moved": "http://169.254.169.254/latest"}
    with GitHttpServer(root, redirects=aside) as server:
        assert await checked(served, server.url("moved")) == (422, "address_denied")
        assert await checked(served, server.url("a")) == (200, commit)
        assert await checked(served, server.url("a"), "nope") == (422, "ref_not_found")
        assert await checked(served, server.url("empty")) == (422, "repository_empty")
        assert await checked(served, server.url("none")) == (422, "source_auth")
    refused = f"http://127.0.0.1:{free_port()}/a.git"
    assert await checked(served, refused) == (422, "connection_refused")


async def test_the_api_alone_refuses_parts_in_memory(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="api alone"):
        await run(Settings(data_dir=tmp_path))
