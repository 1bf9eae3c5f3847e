"""Programs that hang, fork, allocate, fill and shout: a clear end in time, and nothing left behind."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from tests.support.distributed import Fleet
from tests.support.left_behind import nothing_left
from tests.support.users import User, user, zipped

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),
]

SMALL = {
    "memory_mb": 256,
    "pids": 64,
    "disk_mb": 128,
    "wall_seconds": 60,
    "setup_seconds": 60,
    "attempts": 1,
}
FILES = {"README.md": "one\n"}
ENDING_SECONDS = 10 + 60
"""After its deadline: what the product allows itself, and what a busy machine takes beside it."""
ROOMY = {"disk_mb": 2048, "memory_mb": 1024, "wall_seconds": 200}
"""The kernel counts what it keeps of each file: of 200,000 some 240 MB, before any of it can be dropped."""
BOMB = ":(){ :|:& };:"
DEAF = "trap '' TERM INT HUP; while :; do sleep 1; done"


@dataclass
class Weather:
    """A program, where it runs, and the ends that it may come to."""

    script: str
    ends: tuple[str, ...]
    setup: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    files: int | None = None
    """Files of the diff, where there is one."""

    @property
    def body(self) -> dict[str, Any]:
        limits = SMALL | self.limits
        body: dict[str, Any] = {
            "prompt": "Do it",
            "engine": "command",
            "command": "true" if self.setup else self.script,
            "checks": {"strategy": "skip"},
            "limits": limits,
        }
        if self.setup:
            body["environment"] = {"setup": self.script, "network": {"setup": "none"}}
        return body


def python(code: str) -> str:
    return f"python3 - <<'EOF'\n{code}\nEOF"


ALLOCATE = python("blocks = [bytearray(1 << 30) for _ in range(64)]")
TOUCH = python("blocks = []\nfor _ in range(1024): blocks.append(b'x' * (64 << 20))")
SHOUT = "head -c 1000000000 /dev/zero | tr '\\0' 'a\\n'"
LINE = "tr '\\0' a < /dev/zero | head -c 10000000000"
INODES = python(
    "import os\nos.mkdir('many')\nfor n in range(10**7): open(f'many/{n}', 'w').close()"
)
MANY = python(
    "import os\n"
    "for n in range(200):\n"
    "    os.makedirs(f'many/{n}')\n"
    "    for m in range(1000): open(f'many/{n}/{m}', 'w').close()\n"
    "open('.gitignore', 'w').write('many\\n')"
)
NAMES = python(
    "names = [b'a\\nb', b'-rf', b'tab\\there', b'quo\"te', b'back\\\\slash', b'\\x01', b'$(id)', b'x' * 255]\n"
    "for name in names: open(name, 'w').write('x\\n')"
)
DAEMON = f"setsid bash -c '(setsid bash -c \"{DEAF}\" &) &'; echo two >> README.md"

CASES = {
    "setup that hangs": Weather("sleep 600", ("setup_timeout",), setup=True, limits={"setup_seconds": 2}),
    "setup that is deaf": Weather(DEAF, ("setup_timeout",), setup=True, limits={"setup_seconds": 2}),
    "setup that forks": Weather(f"{BOMB}; sleep 20; exit 1", ("too_many_processes", "setup_failed"), setup=True),
    "an agent that hangs": Weather("sleep 600", ("deadline",), limits={"wall_seconds": 10}),
    "an agent that is deaf": Weather(DEAF, ("deadline",), limits={"wall_seconds": 10}),
    "a fork bomb": Weather(f"{BOMB}; sleep 5; exit 1", ("too_many_processes",)),
    "64 GB at once": Weather(ALLOCATE, ("out_of_memory", "command_failed")),
    "64 GB bit by bit": Weather(TOUCH, ("out_of_memory",)),
    "a full disk": Weather("head -c 1G /dev/zero > big", ("disk_full",)),
    "no more inodes": Weather(INODES, ("disk_full",)),
    "a full home": Weather("head -c 1G /dev/zero > /app/home/big", ("disk_full",)),
    "1 GB of output": Weather(SHOUT, ("output_limit",)),
    "a line of 10 GB": Weather(LINE, ("output_limit",)),
    "daemons": Weather(DAEMON, ("finished",), files=1),
    "200,000 files": Weather(MANY, ("finished",), files=1, limits=ROOMY),
    "odd names": Weather(NAMES, ("finished",), files=8),
    "names that are no text": Weather("touch $'\\xff\\xfe'", ("patch_refused",)),
}  # fmt: skip


@pytest.fixture(
    scope="module", params=["fleet", pytest.param("docker_fleet", marks=pytest.mark.docker)]
)
def hosts(request: pytest.FixtureRequest) -> Fleet:
    fleet: Fleet = request.getfixturevalue(request.param)
    return fleet


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ada(hosts: Fleet) -> AsyncIterator[User]:
    async with user(hosts.servers, hosts.named("api")[0].url, "weather") as made:
        yield made


@pytest.mark.parametrize("name", CASES)
async def test_ends_clearly_and_leaves_nothing(hosts: Fleet, ada: User, name: str) -> None:
    weather = CASES[name]
    limits = SMALL | weather.limits
    began = time.monotonic()
    task_id = await ada.submit(weather.body, archive=zipped(FILES))
    most = limits["setup_seconds"] * weather.setup + limits["wall_seconds"] + ENDING_SECONDS
    task = await ada.finished(task_id, seconds=most)
    log = [await ada.log(task_id, stream) for stream in ("setup", "agent")]
    assert task["end_reason"]["code"] in weather.ends, (
        task["end_reason"],
        log[0][-500:],
        log[1][-500:],
    )
    assert task["end_reason"]["next"]
    if weather.files is not None:
        assert task["diff"]["files"] == weather.files
    assert time.monotonic() - began < most
    await nothing_left(hosts, task_id)
