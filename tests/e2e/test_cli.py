"""The command line against a platform that `codexsys up` runs."""

import asyncio
import json
import re
import shutil
import sys
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.up_process import Up, running_up

from codexsys_cli.demo.run import REPOSITORY, make_repository
from codexsys_cli.pack import NothingToPack, pack

ENTRY = "from codexsys_cli.main import main; main()"
SECONDS = 120
UNKNOWN = "task_" + "0" * 26


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int | None
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Return the one object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Terminal:
    """Runs commands in a folder of its own."""

    folder: Path
    settings: dict[str, str]

    async def run(self, *arguments: str, given: str = "") -> Said:
        """Run one command to its end."""
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            **self.settings,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            ENTRY,
            *arguments,
            cwd=self.folder,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(given.encode()), SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
        return Said(process.returncode, out.decode(), err.decode())


@pytest.fixture
def alone(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, {"CODEXSYS_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    async with running_up(tmp_path / "up", {}) as running:
        yield running


@pytest.fixture
def terminal(tmp_path: Path, up: Up) -> Terminal:
    return Terminal(tmp_path, {"CODEXSYS_URL": up.url, "CODEXSYS_API_KEY": up.key})


async def test_a_folder_is_sent_followed_and_read(terminal: Terminal, tmp_path: Path) -> None:
    code = tmp_path / "inventory"
    make_repository(code)
    arguments = ["--checks", "python3 -m pytest -q", "--label", "team=web", "--wait"]
    done = await terminal.run(
        "submit",
        str(code),
        "-",
        *arguments,
        "--require-verified",
        "--json",
        given="Fix this inventory",
    )
    assert done.code == 0, done.err
    task = done.json()
    task_id = task["id"]
    assert (task["verdict"], task["prompt"]) == ("verified", "Fix this inventory")
    assert "-- testing" in done.err

    listed = await terminal.run("list", "--label", "team=web", "--json")
    assert [json.loads(line)["id"] for line in listed.out.splitlines()] == [task_id]
    assert task_id in (await terminal.run("list")).out
    assert task_id in (await terminal.run("list", "INVENTORY", "--verdict", "verified")).out
    assert (await terminal.run("list", "something else", "--json")).out == ""
    assert "verified" in (await terminal.run("status", task_id)).out
    log = await terminal.run("logs", task_id)
    assert "step 1" in log.out
    assert (await terminal.run("logs", "-f", task_id)).out == log.out
    assert (
        "+        return sum(item.price * item.quantity"
        in (await terminal.run("diff", task_id)).out
    )

    files = await terminal.run("artifacts", task_id, "--download", "files", "--json")
    for line in files.out.splitlines():
        artifact = json.loads(line)
        assert (tmp_path / "files" / artifact["name"]).stat().st_size == artifact["size"]
    assert (await terminal.run("workspace", task_id, "tree.zip")).code == 0
    assert "inventory/stock.py" in zipfile.ZipFile(tmp_path / "tree.zip").namelist()
    await use_is_told(terminal, task)
    await shared_and_revoked(terminal, task_id)
    again = await terminal.run("retry", task_id, "--json")
    assert again.json()["retry_of"] == task_id
    assert (await terminal.run("cancel", again.json()["id"])).code == 0
    over = await terminal.run("watch", again.json()["id"])
    assert over.code in (0, 3)
    assert (await terminal.run("delete", task_id)).code == 0
    assert (await terminal.run("status", task_id, "--json")).json()["prompt"] == ""
    assert (await terminal.run("delete", UNKNOWN)).code == 4


async def use_is_told(terminal: Terminal, task: dict[str, Any]) -> None:
    used = (await terminal.run("usage", "--json")).json()
    assert (used["total"]["tasks"], used["total"]["verified"]) == (1, 1)
    assert used["total"]["cost_usd"] == task["usage"]["cost_usd"]
    table = (await terminal.run("usage", "--label", "team")).out.split()
    assert {"team", "web", "total"} < set(table)
    assert (await terminal.run("usage", "--from", "yesterday")).code == 2


async def shared_and_revoked(terminal: Terminal, task_id: str) -> None:
    share = (await terminal.run("share", task_id, "--json")).json()
    assert share["url"].startswith("http://")
    assert share["id"] in (await terminal.run("share", task_id, "--list")).out
    assert (await terminal.run("share", task_id, "--revoke", share["id"])).code == 0
    listed = (await terminal.run("share", task_id, "--list", "--json")).json()
    assert (listed["id"], listed["url"], bool(listed["revoked_at"])) == (share["id"], None, True)


async def test_client_commands_find_the_platform_of_this_user(up: Up, tmp_path: Path) -> None:
    found = Terminal(tmp_path, {"CODEXSYS_DATA_DIR": str(tmp_path / "up" / "data")})
    assert (await found.run("list", "--json")).code == 0
    assert up.key not in (await found.run("config", "show")).out


async def test_refusals_are_one_line_and_an_exit_code(terminal: Terminal) -> None:
    said = await terminal.run("status", UNKNOWN)
    assert (said.code, said.out) == (4, "")
    assert said.err.count("\n") == 1
    assert "not_found" in said.err
    stranger = Terminal(terminal.folder, terminal.settings | {"CODEXSYS_API_KEY": "cdx_wrong"})
    assert (await stranger.run("list")).code == 4
    refused = await terminal.run("submit", "https://127.0.0.1/x.git", "Do it")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert (await terminal.run("submit", "no-such-folder", "Do it")).code == 2


async def test_no_platform_is_said(alone: Terminal) -> None:
    said = await alone.run("list")
    assert said.code == 2
    assert "codexsys up" in said.err
    away = Terminal(alone.folder, {"CODEXSYS_URL": "http://127.0.0.1:1", "CODEXSYS_API_KEY": "x"})
    said = await away.run("list")
    assert said.code == 1
    assert "[unreachable]" in said.err


async def test_operators_make_tenants_and_keys(alone: Terminal) -> None:
    assert (await alone.run("db", "upgrade")).code == 0
    missing = await alone.run("keys", "create", "--tenant", "acme")
    assert (missing.code, missing.out) == (4, "")
    tenant = (await alone.run("tenants", "create", "acme", "--json")).json()
    assert (await alone.run("tenants", "create", "acme")).out.strip() == tenant["id"]
    assert (await alone.run("keys", "create", "--tenant", "acme")).out.startswith("cdx_")
    assert (await alone.run("version")).out.startswith("codexsys ")


async def test_doctor_tries_every_part(alone: Terminal) -> None:
    said = await alone.run("doctor", "--json")
    found = {each["name"]: each for each in map(json.loads, said.out.splitlines())}
    parts = {name for name in found if not name.startswith("sandbox: ")}
    assert parts == {"git", "sandbox", "database", "queue", "redis", "store", "model"}
    tried = {name.removeprefix("sandbox: ") for name in set(found) - parts}
    assert tried >= {"closed network", "door", "clean-up"}
    assert (said.code, [each for each in found.values() if not each["ok"]]) == (0, [])

    broken = alone.settings | {"CODEXSYS_MODEL_URL": "http://127.0.0.1:1/v1"}
    said = await Terminal(alone.folder, broken).run("doctor", "--json")
    found = {each["name"]: each for each in map(json.loads, said.out.splitlines())}
    assert said.code == 1
    assert not found["model"]["ok"]
    assert "CODEXSYS_MODEL_URL" in found["model"]["advice"]


async def test_wrong_settings_are_named(alone: Terminal) -> None:
    wrong = alone.settings | {"CODEXSYS_DATABSE_URL": "x"}
    said = await Terminal(alone.folder, wrong).run("up")
    assert said.code == 2
    assert "did you mean CODEXSYS_DATABASE_URL" in said.err
    assert (await alone.run("worker")).code == 2


def test_a_zip_leaves_out_what_git_ignores(tmp_path: Path) -> None:
    code = tmp_path / "code"
    make_repository(code)
    (code / "new.txt").write_text("not added yet")
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "x.pyc").write_bytes(b"x")
    (code / "link").symlink_to("/etc/passwd")
    pack(code, tmp_path / "code.zip")
    names = set(zipfile.ZipFile(tmp_path / "code.zip").namelist())
    assert {"new.txt", "setup.sh", "inventory/stock.py"} <= names
    assert not {
        name for name in names if "pycache" in name or name.startswith(".git/") or name == "link"
    }


def test_a_folder_without_git_is_sent_whole(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY, tmp_path / "code")
    (tmp_path / "code" / "ignored.pyc").write_bytes(b"x")
    pack(tmp_path / "code", tmp_path / "code.zip")
    assert "ignored.pyc" in zipfile.ZipFile(tmp_path / "code.zip").namelist()
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToPack):
        pack(tmp_path / "empty", tmp_path / "empty.zip")


@pytest.mark.parametrize(
    ("source", "prompt", "said"),
    [
        ("http://example.org/a.git", "hi", "The URL must begin with https://. [url_refused]"),
        ("https://example.org/a.git", "", "/prompt: Say what should be done. [invalid]"),
        ("nowhere", "hi", "nowhere is neither a URL nor a folder nor a zip"),
    ],
)
async def test_a_refusal_is_one_sentence(
    terminal: Terminal, source: str, prompt: str, said: str
) -> None:
    done = await terminal.run("submit", source, prompt)
    assert (done.code, done.out, done.err) == (2, "", f"codexsys: {said}\n")


async def test_an_attempt_that_is_repeated_says_why(terminal: Terminal) -> None:
    done = await terminal.run("submit", "https://nowhere.invalid/a.git", "hi", "--wait")
    assert done.code == 3
    assert re.search(r"attempt ended: host_unknown; the next one begins in [12] s", done.err)
    assert "The host nowhere.invalid is not known." in done.out


async def test_no_task_is_run_where_the_sandbox_is_not_proven(alone: Terminal) -> None:
    broken = {
        "CODEXSYS_SANDBOX": "docker",
        "CODEXSYS_DOCKER_HOST": f"unix://{alone.folder}/nobody.sock",
        "CODEXSYS_API_PORT": "0",
    }
    said = await Terminal(alone.folder, alone.settings | broken).run("up")
    assert (said.code, said.out) == (1, "")
    assert "[sandbox_unfit]" in said.err
    assert "CODEXSYS_SANDBOX=local" in said.err
