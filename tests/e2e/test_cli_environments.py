"""Environments from the command line, against a platform that `codexsys up` runs."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.test_cli import Terminal
from tests.support.up_process import Up, running_up

SECRET = "a-very-secret-value"


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    async with running_up(tmp_path / "up", {"CODEXSYS_SANDBOX": "dummy"}) as running:
        yield running


@pytest.fixture
def terminal(tmp_path: Path, up: Up) -> Terminal:
    return Terminal(tmp_path, {"CODEXSYS_URL": up.url, "CODEXSYS_API_KEY": up.key})


async def test_an_environment_is_made_changed_used_and_removed(
    terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "setup").write_text("pip install .\n")
    (tmp_path / "token").write_text(f"{SECRET}\n")
    arguments = ["--setup", "setup", "--secret", "TOKEN=token", "--variable", "LEVEL=debug"]
    arguments += ["--mirror", "pip=https://mirror.example/simple", "--checks", "pytest -q"]
    said = await terminal.run("environments", "create", "python", *arguments, "--json")
    assert said.code == 0, said.err
    made = said.json()
    assert (made["setup"], made["setup_variables"]) == ("pip install .\n", ["TOKEN"])
    assert SECRET not in said.out + said.err

    again = await terminal.run("environments", "create", "python")
    assert (again.code, again.out) == (1, "")
    assert "environment_exists" in again.err

    listed = await terminal.run("environments", "list", "--json")
    assert [json.loads(line)["id"] for line in listed.out.splitlines()] == [made["id"]]
    table = await terminal.run("environments", "list")
    assert made["id"] in table.out
    assert "TOKEN" in table.out

    change = ["--clear", "variables.LEVEL", "--clear", "mirrors", "--variable", "MORE=1"]
    changed = await terminal.run("environments", "update", "python", *change, "--json")
    assert changed.code == 0, changed.err
    assert (changed.json()["variables"], changed.json()["mirrors"]) == ({"MORE": "1"}, {})
    shown = await terminal.run("environments", "show", made["id"], "--json")
    assert shown.json() == changed.json()
    assert (await terminal.run("environments", "update", "python")).code == 2

    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1\n")
    task = await terminal.run("submit", "code", "Mend it", "--environment", "python", "--json")
    assert task.code == 0, task.err
    assert task.json()["checks"]["command"] == "pytest -q"

    assert (await terminal.run("environments", "delete", "python")).code == 0
    for arguments in (["show", "python"], ["show", made["id"]], ["delete", made["id"]]):
        gone = await terminal.run("environments", *arguments)
        assert (gone.code, gone.out) == (4, "")
        assert "environment_not_found" in gone.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "x", "--secret", "TOKEN"], 2),
        (["create", "x", "--secret", "TOKEN=nowhere"], 1),
        (["create", "x", "--proxy", "ftp://x"], 2),
        (["create", "x", "--variable", "CODEXSYS_X=1"], 2),
        (["create", "x", "--file", "-"], 2),
        (["show", "nobody"], 4),
    ],
)
async def test_what_is_wrong_is_said_in_a_line(
    terminal: Terminal, arguments: list[str], code: int
) -> None:
    said = await terminal.run("environments", *arguments, given="not json")
    assert (said.code, said.out) == (code, ""), said.err
    assert "Traceback" not in said.err
