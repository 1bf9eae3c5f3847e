"""A Git server, and a base fetched from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.git_http import GitHttpServer, make_repository
from tests.unit.adapters.git.bases import fetcher

from codexsys_core.source import GitSource


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def server(root: Path) -> Iterator[GitHttpServer]:
    root.mkdir()
    with GitHttpServer(root) as server:
        yield server


@pytest.fixture
async def base(tmp_path: Path, root: Path, server: GitHttpServer) -> Path:
    files: dict[str, str | bytes] = {
        "x.py": "one\ntwo\n",
        "keep/y.txt": "$Format:%H$ $Id$\r\nhello\r\n",
        "hidden/z.txt": "z\n",
        ".gitattributes": "*.py -diff\nhidden export-ignore\nkeep/* export-subst ident text eol=lf\n",
        "logo.bin": bytes(range(256)),
    }
    make_repository(root / "a", {})
    (root / "a/.git/info/attributes").write_text("* -text -ident\n")
    make_repository(root / "a", files)
    into = tmp_path / "base"
    await fetcher(tmp_path).fetch(GitSource(url=server.url("a")), None, into, tenant="t")
    return into
