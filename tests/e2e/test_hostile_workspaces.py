"""Workspaces that were made to attack who collects them: nothing runs outside, hangs or leaks."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.distributed import Fleet
from tests.support.left_behind import nothing_left
from tests.support.users import User, user, zipped

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(200),
]

FILES = {"README.md": "one\n", "notes.txt": "note\n"}
EDIT = "echo two >> README.md\n"
LIMITS = {"memory_mb": 512, "pids": 128, "disk_mb": 256, "wall_seconds": 60, "attempts": 1}
CONFIG = """
[core]
    fsmonitor = touch MARK
    hooksPath = /app/code/hooks
    sshCommand = touch MARK
    pager = touch MARK
    worktree = /
[filter "evil"]
    clean = touch MARK; cat
    smudge = touch MARK; cat
    process = touch MARK
[diff "evil"]
    command = touch MARK
    textconv = touch MARK
[diff]
    external = touch MARK
[alias]
    status = !touch MARK
"""


@dataclass
class Attack:
    """What the task's script does, how the task may end, and what its diff holds."""

    script: str
    ends: tuple[str, ...] = ("finished",)
    changed: tuple[str, ...] = ("README.md",)
    secret: tuple[str, ...] = field(default=("root:x:0", "Linux version"))
    """Must be in nothing that is handed out."""


def laid(path: str, text: str) -> str:
    return f"mkdir -p $(dirname {path}); cat > {path} <<'EOF'\n{text}\nEOF\n"


NESTED = (
    "git init -q vendor; cd vendor; echo x > x.c; git add x.c; git commit -qm x; cd ..\n"
    + laid("vendor/.git/config", CONFIG)
    + laid("vendor/.gitattributes", "* filter=evil diff=evil")
    + laid("vendor/.git/hooks/post-index-change", "#!/bin/sh\ntouch MARK")
    + "chmod +x vendor/.git/hooks/*\n"
)
GITLINK = (
    NESTED
    + "git update-index --add --cacheinfo 160000,$(git -C vendor rev-parse HEAD 2>/dev/null || printf %040d 1),vendor\n"
)
MODULES = laid(
    ".gitmodules",
    '[submodule "x"]\n path = x\n url = ext::sh -c touch% MARK\n update = !touch MARK',
)
ATTRIBUTES = laid(
    ".gitattributes", "* filter=evil diff=evil -text export-subst working-tree-encoding=UTF-16"
)

ATTACKS = {
    "a nested repository with filters": Attack(NESTED + EDIT),
    "a gitlink": Attack(GITLINK + EDIT),
    "a change that is too large": Attack("for n in 1 2; do head -c 30000000 /dev/urandom > $n; done\n", ends=("patch_refused",)),
    "a file of submodules": Attack(MODULES + EDIT, ends=("patch_refused",)),
    "our own git's configuration": Attack(EDIT + laid(".git/config", CONFIG) + ATTRIBUTES, changed=("README.md", ".gitattributes")),
    "hooks": Attack(EDIT + "for h in pre-commit post-checkout post-index-change fsmonitor-watchman; do printf '#!/bin/sh\\ntouch MARK' > .git/hooks/$h; chmod +x .git/hooks/$h; done\n"),
    "a broken index": Attack(EDIT + "head -c 4096 /dev/urandom > .git/index; echo /etc > .git/objects/info/alternates; ln -sf /etc/passwd .git/HEAD\n"),
    "no repository": Attack(EDIT + "rm -rf .git; ln -s / .git\n"),
    "a repository elsewhere": Attack(EDIT + "rm -rf .git; echo 'gitdir: /app/home/other' > .git; git init -q --bare /app/home/other\n" + laid("/app/home/other/config", CONFIG)),
    "configuration of the home": Attack(EDIT + laid("/app/home/.gitconfig", CONFIG) + laid("/app/home/.config/git/attributes", "* filter=evil diff=evil")),
    "programs of the home": Attack(EDIT + "mkdir -p ~/.local/bin; for p in git python3 bash tar; do printf '#!/bin/sh\\ntouch MARK' > ~/.local/bin/$p; /bin/chmod +x ~/.local/bin/$p; done\n"),
    "modules that are found first": Attack(EDIT + "mkdir -p ~/.local/lib/python3.11/site-packages; for m in json os tarfile sitecustomize usercustomize codexsys_agent; do echo 'import os; os.system(\"touch MARK\")' > ~/.local/lib/python3.11/site-packages/$m.py; done; cp ~/.local/lib/python3.11/site-packages/json.py json.py; rm json.py\n"),
    "links in the outputs": Attack(EDIT + "for n in answer.md report.json trajectory.json prompt.txt llm_response.txt extra.txt; do ln -sf /etc/passwd /app/output/$n; done; ln -s /proc/version /app/output/version; ln -s /dev/zero /app/output/zero; ln -s /app/home /app/output/home\n"),
    "links in the tree": Attack(EDIT + "rm notes.txt; ln -s /etc/passwd notes.txt; ln -s /proc/version version; ln -s /dev/zero zero; ln -s / root; ln -s loop loop\n", changed=("README.md", "notes.txt", "version", "zero", "root", "loop")),
    "pipes and sockets": Attack(EDIT + "rm notes.txt; mkfifo notes.txt pipe /app/output/pipe /app/output/report.md; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'\n", changed=("README.md", "notes.txt")),
    "folders where files are written": Attack(EDIT + "rm -rf /app/output/*; mkdir -p /app/output/result.json/x /app/output/trajectory.json/x /app/output/prompt.txt\n", ends=("finished", "agent_crashed")),
    "huge sparse files": Attack(EDIT + "truncate -s 200M big; truncate -s 200M notes.txt; truncate -s 200M /app/output/big\n"),
    "paths without end": Attack(EDIT + "python3 -c 'import os; [(os.mkdir(\"d\"), os.chdir(\"d\")) for _ in range(3000)]'\n"),
    "folders that nobody may read": Attack(EDIT + "mkdir -p closed/in; echo x > closed/in/x; chmod 0 closed; chmod 0 notes.txt /app/output\n", ends=("finished", "agent_crashed")),
}  # fmt: skip


@pytest.fixture(
    scope="module", params=["fleet", pytest.param("docker_fleet", marks=pytest.mark.docker)]
)
def hosts(request: pytest.FixtureRequest) -> Fleet:
    fleet: Fleet = request.getfixturevalue(request.param)
    return fleet


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def eve(hosts: Fleet) -> AsyncIterator[User]:
    async with user(hosts.servers, hosts.named("api")[0].url, "hostile") as made:
        yield made


@pytest.mark.parametrize("name", ATTACKS)
async def test_nothing_runs_outside_and_the_end_is_clear(
    hosts: Fleet, eve: User, name: str
) -> None:
    attack = ATTACKS[name]
    mark = Path(f"/tmp/ran-{secrets.token_hex(8)}")
    body: dict[str, Any] = {
        "prompt": "Do it",
        "engine": "command",
        "command": attack.script.replace("MARK", str(mark)),
        "checks": {"strategy": "skip"},
        "limits": LIMITS,
    }
    task_id = await eve.submit(body, archive=zipped(FILES))
    task = await eve.finished(task_id, seconds=130)
    assert task["end_reason"]["code"] in attack.ends, (
        task["end_reason"],
        await eve.log(task_id, "agent"),
    )
    assert not mark.exists()  # noqa: ASYNC240 - one look
    kept = await handed_out(eve, task_id)
    assert [
        text for text in attack.secret for content in kept.values() if text.encode() in content
    ] == []
    if task["end_reason"]["code"] == "finished":
        diff = kept["diff.patch"].decode(errors="replace")
        lines = [line for line in diff.splitlines() if line.startswith("diff --git ")]
        assert {line.rpartition(" b/")[2] for line in lines} == set(attack.changed)
        assert "+two" in diff
    await nothing_left(hosts, task_id)


async def handed_out(user: User, task_id: str) -> dict[str, bytes]:
    """Return the content of each artifact."""
    found = {}
    for name in await user.artifacts(task_id):
        path = f"/api/v1/tasks/{task_id}/artifacts/{name}"
        found[name] = (await user.client.get(path, follow_redirects=True)).content
    return found
