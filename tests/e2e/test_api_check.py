"""`?check=true` connects, says what is wrong with a source, and makes nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.api_service import Served, free_port, serving, zipped
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


async def test_it_shows_how_a_change_would_be_checked(served: Served, tmp_path: Path) -> None:
    files = {"go.mod": "module example.org/a\n", "a_test.go": "package a\n"}
    root = tmp_path / "root"
    make_repository(root / "a", files)
    whole = {"prompt": "x"}
    skipped, named = {"strategy": "skip"}, {"command": "make test"}

    async def shown(url: str | None = None, **more: object) -> object:
        body = whole | ({"source": {"git": {"url": url}}} if url else {}) | more
        if url:
            answer = await served.client.post("/api/v1/tasks?check=true", json=body)
        else:
            parts: dict[str, tuple[str | None, str | bytes, str]] = {
                "task": (None, json.dumps(body), "application/json"),
                "file": ("a.zip", zipped(files), "application/zip"),
            }
            answer = await served.client.post("/api/v1/tasks?check=true", files=parts)
        assert answer.status_code == 200, answer.text
        return answer.json()["checks"]

    found = {
        "command": "go test ./...",
        "found_in": "go.mod",
        "strategy": "full",
        "looked": True,
    }
    with GitHttpServer(root) as server:
        url = server.url("a")
        assert await shown(url) == await shown() == found
        assert await shown(url, checks=named) == found | named | {"found_in": None}
        assert await shown(url, checks=skipped) == found | skipped | {
            "command": None,
            "found_in": None,
        }
        assert await shown(url, environment={"checks": named}) == found | named | {"found_in": None}
        assert await shown(url, mode="explain") is None
    left = list((tmp_path / "data" / "tmp").glob("*/look-*"))
    assert not left
