"""The linters and formatters of pypi, npm and Debian themselves look at changes, as the repository's settings say."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from tests.support.changes import put
from tests.support.real_linters import SETUP, lay_down
from tests.support.shop import open_shop
from tests.support.users import User, zipped

pytestmark = pytest.mark.asyncio(loop_scope="module")
Flag = tuple[str, str, int]
ESLINT = "export default [{ ignores: ['made/**'] }, { rules: { 'no-unused-vars': 'error', eqeqeq: 'warn' } }];\n"


@dataclass(frozen=True)
class Case:
    """A repository with its settings, a change to it, and what must be found in its lines."""

    files: dict[str, str]
    script: str
    flags: list[Flag]
    says: dict[str, str]
    """By kind, what one flag of it must say."""
    looked: str


CASES = {
    "flake8 and black": Case(
        {
            ".flake8": "[flake8]\nmax-line-length = 100\nextend-exclude = made\nshow-source = true\n",
            "pyproject.toml": "[tool.black]\nline-length = 100\nextend-exclude = 'made/'\n",
            "shop.py": "import json\n\n\ndef total(prices):\n    return sum(prices )\n",
            "made/old.py": "x = 1\n",
        },
        "sed -i '1i import os' shop.py\n"
        + put("new.py", "x = [1,2]\ny = '" + "a" * 90 + "'")
        + put("made/new.py", "import os\ny=1"),
        [("lint", "shop.py", 1), ("lint", "new.py", 1), ("format", "new.py", 1)],
        {"lint": "flake8: F401 'os' imported but unused", "format": "black"},
        "python, flake8, black",
    ),
    "eslint and prettier": Case(
        {
            "eslint.config.mjs": ESLINT,
            ".prettierrc": '{"semi": false, "singleQuote": true}\n',
            ".prettierignore": "made\n",
            ".gitignore": "node_modules/\n",
            "shop.js": "var old = 1 == 2;\n\nexport const total = 1\n",
        },
        "echo 'if (total == 1) globalThis.x = total' >> shop.js\n"
        + put("made/new.js", "var y = 1;")
        + put("types.ts", "export const x: number = 1")
        + put("style.css", "a{color:red}"),
        [("lint", "shop.js", 4), ("format", "style.css", 1)],
        {"lint": "eslint: eqeqeq Expected", "format": "prettier"},
        "node, eslint, prettier",
    ),
    "shellcheck": Case(
        {".shellcheckrc": "disable=SC2034\n", "old.sh": "#!/bin/sh\necho $1\n"},
        "echo 'unused=1; rm $2' >> old.sh\n" + put("new.bash", "#!/bin/bash\nif true; then\n  cd $1\nfi"),
        [("lint", "old.sh", 3), ("lint", "new.bash", 3), ("lint", "new.bash", 3)],
        {"lint": "shellcheck: SC2086 Double quote"},
        "shell, shellcheck",
    ),
    "rustfmt": Case(
        {
            "Cargo.toml": '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n',
            "rustfmt.toml": "tab_spaces = 2\n",
            "src/lib.rs": "mod money;\n\npub fn old()->u8 { 1 }\n",
            "src/money.rs": "pub fn add()->u8 { 1 }\n",
        },
        "printf '\\npub async fn new() -> u8 {\\n    2\\n}\\n' >> src/lib.rs\n" + put("src/broken.rs", "fn f( {"),
        [("syntax", "src/broken.rs", 1), ("format", "src/lib.rs", 6)],
        {"format": "rustfmt"},
        "rustfmt",
    ),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def user(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[User]:
    tools = tmp_path_factory.mktemp("linters")
    await asyncio.to_thread(lay_down, tools)
    tools.chmod(0o755)
    folder = tmp_path_factory.mktemp("linted") / "data"
    async with open_shop(folder, sandbox="local", sandbox_wheels=tools, worker_slots=4) as (
        _,
        opened,
    ):
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evidence(user: User) -> dict[str, dict[str, Any]]:
    """Submit all at once and return what was found by the end."""

    async def see(case: Case) -> dict[str, Any]:
        body = {
            "prompt": "Do it",
            "engine": "command",
            "command": case.script,
            "checks": {"strategy": "skip"},
            "environment": {"setup": SETUP, "network": {"setup": "none"}},
            "limits": {"attempts": 1, "checks_seconds": 120},
        }
        task_id = await user.submit(body, archive=zipped(case.files))
        task = await user.finished(task_id, seconds=150)
        assert task["status"] == "succeeded", task
        return dict(task["checks"]["evidence"])

    return dict(zip(CASES, await asyncio.gather(*map(see, CASES.values())), strict=True))


@pytest.mark.parametrize("name", CASES)
async def test_what_they_say_of_changed_lines_is_flagged_and_nothing_else(
    name: str, evidence: dict[str, dict[str, Any]]
) -> None:
    case, found = CASES[name], evidence[name]
    flags = [(each["kind"], each["path"], each["line"]) for each in found["flags"]]
    assert sorted(flags) == sorted(case.flags), found
    for kind, words in case.says.items():
        assert any(words in each["says"] for each in found["flags"] if each["kind"] == kind), found
    assert found["looked"] == [f"Looked at by {case.looked}."]
