"""What every sandbox backend does, whatever it is made of."""

import asyncio
import contextlib
import io
import json
import os
import shlex
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.contract.servers import DOCKER, IMAGE, must_have

from codexsys_adapters.docker.backend import DockerBackend
from codexsys_adapters.dummy import DummyBackend
from codexsys_adapters.local.backend import LocalBackend
from codexsys_adapters.walls.yielding import YIELDING
from codexsys_core.errors import SandboxError
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import (
    PhaseEnd,
    PhaseSpec,
    SandboxBackend,
    SandboxLimits,
    SandboxRole,
    SandboxSpec,
)

AGENT = Path(__file__).parents[2] / "services" / "agent"
LIMITS = SandboxLimits(memory_mb=192, pids=64, disk_mb=64)


@dataclass
class Kind:
    """How one backend is made, and how its phases are told what to do."""

    name: str
    make: Callable[[], SandboxBackend]

    def phase(
        self,
        name: str,
        *,
        exit_code: int = 0,
        lines: int = 0,
        delay: float = 0,
        oom: bool = False,
        oom_child: bool = False,
        **more: Any,
    ) -> PhaseSpec:
        """Return a phase that does this."""
        more = {"seconds": 30} | more
        if self.name == "dummy":
            env = {
                "DUMMY_EXIT": str(exit_code),
                "DUMMY_CHATTER": str(lines),
                "DUMMY_DELAY": str(delay),
                "DUMMY_OOM": str(int(oom)),
                "DUMMY_OOM_CHILD": str(int(oom_child)),
            }
            return PhaseSpec(name=name, argv=("true",), env=env, **more)
        script = f"for ((i=1; i<={lines}; i++)); do echo line $i; done; "
        script += "exec tail /dev/zero; " if oom else ""
        script += "tail /dev/zero; " if oom_child else ""
        script += f"sleep {delay} & wait $!; exit {exit_code}"
        return PhaseSpec(name=name, argv=("bash", "-c", script), **more)


def dummy(folder: Path) -> SandboxBackend:
    return DummyBackend(folder / "sandboxes")


def local(folder: Path) -> SandboxBackend:
    return LocalBackend(folder / "sandboxes", gateway_urls=[], agent_code=AGENT)


def docker(folder: Path) -> SandboxBackend:
    return DockerBackend(
        folder / "sandboxes",
        host=must_have(DOCKER),
        sockets=folder,
        agent_code=AGENT,
        bundles=folder.parent / "bundles",
        platform=str(folder),
        image=must_have(IMAGE),
    )


KINDS: dict[str, Callable[[Path], SandboxBackend]] = {
    "dummy": dummy,
    "local": local,
    "docker": docker,
}
ALL = ["dummy", "local", pytest.param("docker", marks=pytest.mark.docker)]
ISOLATING = ALL[1:]


@pytest.fixture(params=ALL)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    return kind_of(request.param, tmp_path)


def kind_of(name: str, folder: Path) -> Kind:
    return Kind(name, lambda: KINDS[name](folder))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base.git"
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    return folder


def spec_of(**more: Any) -> SandboxSpec:
    given: dict[str, Any] = {
        "id": TimeOrderedIds().new("sbx"),
        "task_id": "task_1",
        "tenant_id": "tenant_1",
        "role": SandboxRole.AGENT,
        "limits": LIMITS,
        "seconds": 120,
    }
    return SandboxSpec(**(given | more))


@pytest.fixture
async def backend(kind: Kind) -> AsyncIterator[SandboxBackend]:
    made = kind.make()
    yield made
    for name in await made.list():
        await made.destroy(name)
    assert await made.list() == []


@pytest.fixture
async def sandbox(backend: SandboxBackend, base: Path) -> str:
    spec = spec_of()
    await backend.create(spec, base)
    return spec.id


async def run(backend: SandboxBackend, sandbox: str, phase: PhaseSpec) -> PhaseEnd:
    await backend.start(sandbox, phase)
    return await asyncio.wait_for(backend.wait(sandbox, phase.name), 200)


async def said(backend: SandboxBackend, sandbox: str, phase: str) -> bytes:
    """Return everything a phase said, piece by piece."""
    data = b""
    while piece := await backend.output(sandbox, phase, len(data), limit=1000):
        data += piece
    return data


async def heard(backend: SandboxBackend, sandbox: str, phase: str, wanted: bytes) -> bytes:
    """Return a phase's output as soon as it holds what is wanted."""
    data = b""
    async with asyncio.timeout(20):
        while wanted not in data:
            data += await backend.output(sandbox, phase, len(data))
    return data


@pytest.mark.parametrize("code", [0, 3, 143])
async def test_exit_codes(kind: Kind, backend: SandboxBackend, sandbox: str, code: int) -> None:
    end = await run(backend, sandbox, kind.phase("checks", exit_code=code))
    assert end == PhaseEnd(exit_code=code)
    assert await backend.wait(sandbox, "checks") == end


async def test_output_has_offsets(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    await run(backend, sandbox, kind.phase("agent", lines=500))
    expected = "".join(f"line {number}\n" for number in range(1, 501)).encode()
    assert await said(backend, sandbox, "agent") == expected
    assert await backend.output(sandbox, "agent", 7, limit=6) == b"line 2"
    assert await backend.output(sandbox, "agent", len(expected)) == b""


async def test_output_while_it_runs(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    await backend.start(sandbox, kind.phase("agent", lines=3, delay=30))
    assert await heard(backend, sandbox, "agent", b"line 3\n") == b"line 1\nline 2\nline 3\n"
    await backend.signal(sandbox, kill=True)
    assert (await backend.wait(sandbox, "agent")).reason == "signalled"


async def test_asked_to_stop(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    await backend.start(sandbox, kind.phase("agent", lines=1, delay=30))
    await heard(backend, sandbox, "agent", b"line 1\n")
    await backend.signal(sandbox)
    assert await backend.wait(sandbox, "agent") == PhaseEnd(exit_code=143)
    await backend.signal(sandbox)


async def test_deadline(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    end = await run(backend, sandbox, kind.phase("agent", delay=60, seconds=0.3))
    assert end.reason == "deadline"
    assert (await run(backend, sandbox, kind.phase("after"))).exit_code == 0


async def test_out_of_memory(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    end = await run(backend, sandbox, kind.phase("agent", oom=True))
    assert (end.reason, end.oom_killed) == ("out_of_memory", True)
    assert (await run(backend, sandbox, kind.phase("after"))).exit_code == 0


async def test_a_child_out_of_memory(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    end = await run(backend, sandbox, kind.phase("checks", oom_child=True, exit_code=1))
    assert end == PhaseEnd(exit_code=1, oom_killed=True)
    assert not (await run(backend, sandbox, kind.phase("after"))).oom_killed


async def test_output_limit(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    end = await run(backend, sandbox, kind.phase("agent", lines=500, output_bytes=1000))
    assert end.reason == "output_limit"
    assert len(await said(backend, sandbox, "agent")) == 1000


async def test_the_same_phase_starts_once(
    kind: Kind, backend: SandboxBackend, sandbox: str
) -> None:
    first = await run(backend, sandbox, kind.phase("agent", exit_code=4))
    assert await run(backend, sandbox, kind.phase("agent", exit_code=5)) == first


async def test_another_worker_carries_on(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    await backend.start(sandbox, kind.phase("agent", lines=2, delay=0.5, exit_code=6))
    other = kind.make()
    assert other.place == backend.place
    assert sandbox in await other.list()
    assert await other.wait(sandbox, "agent") == PhaseEnd(exit_code=6)
    assert await said(other, sandbox, "agent") == b"line 1\nline 2\n"
    assert (await run(other, sandbox, kind.phase("after"))).exit_code == 0


async def test_another_worker_goes_through_the_same_phases_again(
    kind: Kind, backend: SandboxBackend, sandbox: str
) -> None:
    for phase in (kind.phase("setup", lines=3), kind.phase("agent", lines=2, exit_code=7)):
        await run(backend, sandbox, phase)
    await backend.start(sandbox, kind.phase("after", lines=1, delay=0.5))
    other = kind.make()
    await other.create(spec_of(id=sandbox), None)
    # Told otherwise, they are what they were.
    assert await run(other, sandbox, kind.phase("setup", exit_code=1)) == PhaseEnd(exit_code=0)
    assert await run(other, sandbox, kind.phase("agent")) == PhaseEnd(exit_code=7)
    assert await run(other, sandbox, kind.phase("after")) == PhaseEnd(exit_code=0)
    assert await said(other, sandbox, "setup") == b"line 1\nline 2\nline 3\n"
    assert await said(other, sandbox, "after") == b"line 1\n"


async def test_without_a_base_nothing_is_made(kind: Kind, backend: SandboxBackend) -> None:
    spec = spec_of()
    with pytest.raises(SandboxError) as error:
        await backend.create(spec, None)
    assert error.value.code == "sandbox_lost"
    assert await backend.list() == []


async def test_a_place_is_shared_by_who_reaches_the_same_sandboxes(
    kind: Kind, backend: SandboxBackend, tmp_path: Path
) -> None:
    elsewhere = kind_of(kind.name, tmp_path / "elsewhere").make()
    assert kind.make().place == backend.place
    # Containers are found by their labels, wherever a worker's own folder is.
    assert (elsewhere.place == backend.place) == (kind.name == "docker")


async def test_create_and_destroy_are_idempotent(
    kind: Kind, backend: SandboxBackend, base: Path
) -> None:
    spec = spec_of()
    await backend.create(spec, base)
    await backend.start(spec.id, kind.phase("agent", delay=30))
    await backend.create(spec, base)
    assert await backend.list() == [spec.id]
    await backend.destroy(spec.id)
    await backend.destroy(spec.id)
    assert await backend.list() == []


async def test_destroyed_by_several_at_once(
    kind: Kind, backend: SandboxBackend, sandbox: str
) -> None:
    await backend.start(sandbox, kind.phase("agent", delay=60))
    await asyncio.gather(*(backend.destroy(sandbox) for _ in range(4)))
    assert sandbox not in await backend.list()


async def test_what_is_not_there(kind: Kind, backend: SandboxBackend, sandbox: str) -> None:
    gone = TimeOrderedIds().new("sbx")
    calls = [
        backend.start(gone, kind.phase("agent")),
        backend.wait(gone, "agent"),
        backend.output(gone, "agent", 0),
        backend.signal(gone),
        backend.wait(sandbox, "never"),
    ]
    for call in calls:
        with pytest.raises(SandboxError) as error:
            await call
        assert error.value.code == "sandbox_lost"


async def test_a_base_that_is_missing(backend: SandboxBackend, tmp_path: Path) -> None:
    with pytest.raises(SandboxError):
        await backend.create(spec_of(), tmp_path / "nothing")


async def test_the_sandbox_has_a_deadline(kind: Kind, backend: SandboxBackend, base: Path) -> None:
    spec = spec_of(seconds=5)
    await backend.create(spec, base)
    end = await run(backend, spec.id, kind.phase("agent", delay=60))
    assert end.reason == "deadline"


class TestDummy:
    """What only the dummy does."""

    @pytest.fixture
    def kind(self, tmp_path: Path) -> Kind:
        return kind_of("dummy", tmp_path)

    async def test_collects(self, backend: SandboxBackend, sandbox: str) -> None:
        env = {"DUMMY_PATCH": "--- a\n", "DUMMY_COLLECT": json.dumps({"output/answer.md": "yes"})}
        await run(backend, sandbox, PhaseSpec(name="agent", argv=("x",), env=env, seconds=5))
        end = await run(backend, sandbox, PhaseSpec(name="collect-1", argv=("x",), seconds=5))
        assert end.exit_code == 0
        with tarfile.open(fileobj=io.BytesIO(await said(backend, sandbox, "collect-1"))) as tar:
            read = {member.name: tar.extractfile(member) for member in tar}
        texts = {name: file.read() for name, file in read.items() if file}
        assert json.loads(texts.pop("meta.json")) == {"tree": "", "changed": [], "flags": {}}
        assert texts == {"patch": b"--- a\n", "output/answer.md": b"yes"}

    async def test_one_phase_is_told_apart(self, backend: SandboxBackend, sandbox: str) -> None:
        env = {"DUMMY_EXIT": "0", "DUMMY_CHECKS_EXIT": "1"}
        for name, code in (("agent", 0), ("checks-1", 1)):
            phase = PhaseSpec(name=name, argv=("x",), env=env, seconds=5)
            assert (await run(backend, sandbox, phase)).exit_code == code

    async def test_start_failure(self, backend: SandboxBackend, sandbox: str) -> None:
        env = {"DUMMY_START_FAILURE": "1"}
        with pytest.raises(SandboxError):
            await run(backend, sandbox, PhaseSpec(name="agent", argv=("x",), env=env, seconds=5))


def host_processes(mark: str) -> list[Path]:
    """Return the host's processes whose command line holds the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may have ended
            if mark.encode() in (folder / "cmdline").read_bytes():
                found.append(folder)
    return found


def bash(name: str, script: str, **more: Any) -> PhaseSpec:
    given: dict[str, Any] = {"seconds": 30} | more
    return PhaseSpec(name=name, argv=("bash", "-c", script), **given)


MOODY = """
spin() { while :; do :; done; }
trap 'spin & one=$!; spin & two=$!; trap "kill $one $two" TERM' TERM
sleep 1000 & echo calm; while :; do wait; done
"""
"""Takes two processors when it is signalled, and none when it is signalled again."""
USUAL = {"cpu.shares": 1024, "cpu.weight": 100}


def group_weight(folder: Path, phase: str) -> float:
    """Return how much a local sandbox's group weighs, 1 being usual."""
    groups = json.loads((folder / "group.json").read_text())
    files = [Path(group, name) for group in groups for name in USUAL]
    return next(int(file.read_text()) / USUAL[file.name] for file in files if file.exists())


def container_weight(folder: Path, part: str) -> float:
    """Return how much a container weighs as the engine says it, 1 being usual."""
    ask = ["docker", "--host", must_have(DOCKER), "inspect", "-f", "{{.HostConfig.CpuShares}}"]
    done = subprocess.run([*ask, f"{folder.name}.{part}"], check=True, capture_output=True)
    return int(done.stdout) / USUAL["cpu.shares"]


async def until_weighs(found: Callable[[], float], expected: float) -> None:
    async with asyncio.timeout(60):
        while abs(await asyncio.to_thread(found) / expected - 1) > 0.1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


class TestIsolating:
    """What only a sandbox that isolates can show."""

    @pytest.fixture(params=ISOLATING)
    def kind(self, request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
        return kind_of(request.param, tmp_path)

    async def test_fork_bomb(self, backend: SandboxBackend, sandbox: str) -> None:
        many = "import os, time\nfor _ in range(200): os.fork() or time.sleep(60)\nos.wait()"
        end = await run(backend, sandbox, bash("agent", f"python3 -c {shlex.quote(many)}"))
        assert end.reason == "too_many_processes"

    async def test_who_takes_more_than_its_share_weighs_less_meanwhile(
        self, kind: Kind, backend: SandboxBackend, base: Path, tmp_path: Path
    ) -> None:
        if "cpus" in backend.unenforced:  # then nothing here has a weight
            return
        spec = spec_of(limits=LIMITS.model_copy(update={"share": 0.05}))
        await backend.create(spec, base)
        await backend.start(spec.id, bash("agent", MOODY, seconds=100))
        await heard(backend, spec.id, "agent", b"calm\n")
        weighed = container_weight if kind.name == "docker" else group_weight
        weight = partial(weighed, tmp_path / "sandboxes" / spec.id, "phase-agent")
        for expected in (1, 1 / YIELDING, 1):
            await until_weighs(weight, expected)
            await backend.signal(spec.id)

    async def test_files_of_a_phase(self, backend: SandboxBackend, sandbox: str) -> None:
        script = "cat /app/input/a /app/input/deep/b; echo no > /app/input/a"
        phase = bash("setup", script, files={"a": b"1\n", "deep/b": b"2\n"})
        assert (await run(backend, sandbox, phase)).exit_code == 1
        assert (await said(backend, sandbox, "setup")).startswith(b"1\n2\n")
        await run(backend, sandbox, bash("next", "ls /app/input"))
        assert await said(backend, sandbox, "next") == b""

    async def test_workspace(self, backend: SandboxBackend, sandbox: str) -> None:
        places = "/app/code/x /app/output/x /app/home/x"
        assert (await run(backend, sandbox, bash("one", f"touch {places}"))).exit_code == 0
        script = f"ls {places} && ! touch {places} && ! touch /app/base.git/x"
        end = await run(backend, sandbox, bash("two", script, workspace="sealed"))
        assert end.exit_code == 0

    async def test_reading_leaves_room_for_an_answer(
        self, backend: SandboxBackend, sandbox: str
    ) -> None:
        script = "touch /app/output/answer.md /app/home/x && ! touch /app/code/x"
        end = await run(backend, sandbox, bash("explain", script, workspace="read"))
        assert end.exit_code == 0

    async def test_binary_output(self, backend: SandboxBackend, sandbox: str) -> None:
        script = "printf '\\0\\1\\377'; echo talk >&2"
        assert (
            await run(backend, sandbox, bash("collect", script, output="binary"))
        ).exit_code == 0
        assert await said(backend, sandbox, "collect") == b"\0\1\377"

    async def test_nothing_is_left_running(
        self, backend: SandboxBackend, sandbox: str, tmp_path: Path
    ) -> None:
        mark = tmp_path.name + sandbox
        script = f"setsid -f bash -c 'exec -a {mark} sleep 300'; setsid -f bash -c 'trap \"\" TERM HUP; exec -a {mark} sleep 300'"
        assert (await run(backend, sandbox, bash("setup", script))).exit_code == 0
        assert not host_processes(mark)

    @pytest.mark.parametrize(
        "fill",
        [
            "for i in 1 2 3 4 5; do head -c 30M /dev/zero > /app/home/$i || exit 1; done",
            "for i in $(seq 9000); do : > /app/code/$i || exit 1; done",
            "mkdir d; cd d; head -c 100M /dev/zero > x || exit 1; chmod 0 .",
        ],
        ids=["bytes", "inodes", "hidden"],
    )
    async def test_a_full_disk(self, backend: SandboxBackend, base: Path, fill: str) -> None:
        spec = spec_of(limits=LIMITS.model_copy(update={"inodes": 3000}))
        await backend.create(spec, base)
        assert (
            await run(backend, spec.id, bash("agent", f"{fill}; sleep 60"))
        ).reason == "disk_full"
        mend = (
            "chmod -R u+rwx /app/code && rm -rf /app/code/* /app/home/* && echo there > /app/code/x"
        )
        assert (await run(backend, spec.id, bash("after", mend))).exit_code == 0

    async def test_what_ignores_every_signal(
        self, backend: SandboxBackend, sandbox: str, tmp_path: Path
    ) -> None:
        mark = tmp_path.name + sandbox
        deaf = f"trap '' TERM INT HUP; exec -a {mark} sleep 300"
        script = f'setsid -f bash -c "{deaf}"; (setsid bash -c "{deaf}" &); {deaf}'
        assert (await run(backend, sandbox, bash("agent", script, seconds=1))).reason == "deadline"
        assert not host_processes(mark)

    async def test_a_fork_bomb_that_nobody_waits_for(
        self, backend: SandboxBackend, sandbox: str, tmp_path: Path
    ) -> None:
        mark = tmp_path.name + sandbox
        script = f"f() {{ f & f & (exec -a {mark} sleep 300) & wait; }}; f"
        end = await run(backend, sandbox, bash("agent", script, seconds=3))
        assert end.reason in ("deadline", "too_many_processes")
        assert not host_processes(mark)
        assert (await run(backend, sandbox, bash("after", "true"))).exit_code == 0

    async def test_64_gigabytes(self, backend: SandboxBackend, sandbox: str) -> None:
        script = 'python3 -c "x = [bytearray(1 << 20) for _ in range(64 << 10)]"'
        end = await run(backend, sandbox, bash("agent", f"exec {script}"))
        assert (
            end.exit_code is None
            or "MemoryError" in (await said(backend, sandbox, "agent")).decode()
        )

    async def test_a_line_without_end(self, backend: SandboxBackend, sandbox: str) -> None:
        most = 8 << 20
        phase = bash("agent", "exec cat /dev/zero", output_bytes=most)
        assert (await run(backend, sandbox, phase)).reason == "output_limit"
        assert await backend.output(sandbox, "agent", most - 1) == b"\0"
        assert await backend.output(sandbox, "agent", most) == b""

    async def test_a_program_that_is_not_there(self, backend: SandboxBackend, sandbox: str) -> None:
        end = await run(backend, sandbox, PhaseSpec(name="x", argv=("nosuch",), seconds=5))
        assert end.reason == "sandbox_failed"
        assert "nosuch" in end.detail

    async def test_the_agents_interpreter(self, backend: SandboxBackend, sandbox: str) -> None:
        code = "import os, sys; print(os.path.realpath(sys.executable))"
        phase = PhaseSpec(name="a", argv=("codexsys-python", "-c", code), seconds=10)
        assert (await run(backend, sandbox, phase)).exit_code == 0
        interpreter = (await said(backend, sandbox, "a")).decode().strip()
        script = "IFS=:; for p in $PATH; do [ ! -e $p/python3 ] || readlink -f $p/python3; done; ls /opt/codexsys/agent"
        await run(backend, sandbox, bash("b", script))
        seen = (await said(backend, sandbox, "b")).decode().split()
        assert interpreter not in seen or interpreter.startswith("/usr/")
        assert seen[-1] == "codexsys_agent"

    async def test_a_deep_tree_is_removed(self, backend: SandboxBackend, sandbox: str) -> None:
        code = "import os; [(os.mkdir('d'), os.chdir('d')) for _ in range(3000)]; os.chmod('/app/code/d', 0)"
        script = f"python3 -c {shlex.quote(code)}"
        assert (await run(backend, sandbox, bash("agent", script))).exit_code == 0
        await backend.destroy(sandbox)
        assert await backend.list() == []

    async def test_variables(self, backend: SandboxBackend, sandbox: str) -> None:
        value = "a b\n'$x\" ü"
        phase = bash("agent", 'printf %s "$ODD"', env={"ODD": value})
        await run(backend, sandbox, phase)
        assert (await said(backend, sandbox, "agent")).decode() == value

    async def test_threads_and_processes_work(self, backend: SandboxBackend, sandbox: str) -> None:
        code = (
            "import asyncio, multiprocessing as m, threading\n"
            "async def f():\n"
            "    p = await asyncio.create_subprocess_exec('true'); await p.wait()\n"
            "asyncio.run(f()); m.Pool(2).map(abs, [1]); t = threading.Thread(target=print); t.start(); t.join()"
        )
        end = await run(backend, sandbox, bash("agent", f"python3 -c {shlex.quote(code)}"))
        assert end.exit_code == 0, await said(backend, sandbox, "agent")


FILES = """
umask 022; cd /app/code
echo code > c; echo output > /app/output/o; mkdir -p /app/home/.local/bin; echo home > /app/home/.local/h
ln -s /etc/passwd passwd; ln -s /app/base.git/HEAD head; mkfifo pipe; echo s > setuid; chmod 4755 setuid
touch $'new\nline' 'a\\x09b' -- -rf; mkdir closed; echo deep > closed/file; chmod 0 closed; ln c hard
"""
LOOK = """
cd /app; cat code/c output/o home/.local/h; readlink code/passwd code/head; stat -c '%F %a' code/pipe
[ "$(stat -c %u code/c)" = "$(id -u)" ] && echo own; chmod 755 code/closed; cat code/closed/file; ls -A code output home
"""


class TestLayers:
    """What a sandbox leaves behind for later ones, and that nothing comes back."""

    @pytest.fixture(params=ISOLATING)
    def kind(self, request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
        return kind_of(request.param, tmp_path)

    async def on(
        self, backend: SandboxBackend, base: Path, *layers: str, **more: Any
    ) -> tuple[str, str | None]:
        """Make a sandbox that wants these layers; return it and what it stands on."""
        spec = spec_of(layers=layers, **more)
        created = await backend.create(spec, base)
        assert (await backend.create(spec, base)).layer == created.layer
        return spec.id, created.layer

    async def does(self, backend: SandboxBackend, sandbox: str, name: str, script: str) -> str:
        end = await run(backend, sandbox, bash(name, script))
        text = (await said(backend, sandbox, name)).decode()
        assert end.exit_code == 0, text
        return text

    async def test_files_are_kept(self, backend: SandboxBackend, base: Path, sandbox: str) -> None:
        await self.does(backend, sandbox, "setup", FILES)
        await backend.keep(sandbox, "files")
        await backend.keep(sandbox, "files")
        seen = await self.does(backend, sandbox, "look", LOOK)
        later, layer = await self.on(backend, base, "none", "files", "other")
        assert layer == "files"
        assert await self.does(backend, later, "look", LOOK) == seen
        assert "\nown\n" in seen

    async def test_a_layer_stays_as_it_was(
        self, backend: SandboxBackend, base: Path, sandbox: str
    ) -> None:
        await self.does(backend, sandbox, "setup", "echo one > x; mkdir d; echo y > d/y")
        await backend.keep(sandbox, "one")
        await self.does(backend, sandbox, "more", "echo more >> x")
        second, _ = await self.on(backend, base, "one")
        change = "cat x; echo two > x; rm d/y; mv d e; touch /app/home/z"
        assert await self.does(backend, second, "agent", change) == "one\n"
        third, _ = await self.on(backend, base, "one")
        assert await self.does(backend, third, "agent", "cat x d/y; ls /app/home") == "one\ny\n"
        await backend.keep(second, "two")
        await backend.destroy(second)
        fourth, layer = await self.on(backend, base, "two", "one")
        assert layer == "two"
        assert await self.does(backend, fourth, "agent", "cat x; ls . e /app/home") == (
            "two\n.:\ne\nx\n\n/app/home:\nz\n\ne:\n"
        )

    async def test_a_tenants_own(self, backend: SandboxBackend, base: Path, sandbox: str) -> None:
        await backend.keep(sandbox, "one")
        assert (await self.on(backend, base, "one"))[1] == "one"
        assert (await self.on(backend, base, "one", tenant_id="tenant_2"))[1] is None
        assert (await self.on(backend, base, "../tenant_1/one", tenant_id="tenant_2"))[1] is None

    async def test_another_worker_finds_it(
        self, kind: Kind, backend: SandboxBackend, base: Path, sandbox: str
    ) -> None:
        await backend.keep(sandbox, "one")
        await backend.destroy(sandbox)
        assert (await self.on(kind.make(), base, "one"))[1] == "one"

    async def test_a_full_disk_is_kept(self, backend: SandboxBackend, base: Path) -> None:
        spec = spec_of()
        await backend.create(spec, base)
        await run(backend, spec.id, bash("fill", "head -c 100M /dev/zero > /app/code/x || rm x"))
        await backend.keep(spec.id, "one")
        later, _ = await self.on(backend, base, "one")
        await self.does(backend, later, "agent", "echo more > more")

    async def test_200_000_files(self, backend: SandboxBackend, base: Path) -> None:
        limits = LIMITS.model_copy(update={"inodes": 250_000, "disk_mb": 1200})
        spec = spec_of(limits=limits, seconds=300)
        await backend.create(spec, base)
        many = "import os\nfor d in range(200):\n os.mkdir(f'd{d}')\n"
        many += " for f in range(1000): os.close(os.open(f'd{d}/{f}', os.O_CREAT))"
        end = await run(
            backend, spec.id, bash("setup", f"python3 -c {shlex.quote(many)}", seconds=120)
        )
        assert end.exit_code == 0
        await backend.keep(spec.id, "many")
        later, layer = await self.on(backend, base, "many", limits=limits)
        assert layer == "many"
        assert await self.does(backend, later, "agent", "ls d199 | wc -l") == "1000\n"

    async def test_of_what_is_not_there(self, backend: SandboxBackend) -> None:
        with pytest.raises(SandboxError) as error:
            await backend.keep(TimeOrderedIds().new("sbx"), "one")
        assert error.value.code == "sandbox_lost"


class TestLocal:
    """What only the local backend has: supervisors, which nobody brings back."""

    @pytest.fixture
    def kind(self, tmp_path: Path) -> Kind:
        return kind_of("local", tmp_path)

    async def test_supervisor_killed(
        self, kind: Kind, backend: SandboxBackend, sandbox: str, tmp_path: Path
    ) -> None:
        await backend.start(sandbox, bash("agent", "echo here; sleep 300"))
        await heard(backend, sandbox, "agent", b"here\n")
        os.kill(int((tmp_path / "sandboxes" / sandbox / "lock").read_text()), 9)
        assert (await kind.make().wait(sandbox, "agent")).reason == "sandbox_lost"
        with pytest.raises(SandboxError):
            await backend.start(sandbox, bash("more", "true"))
        await backend.destroy(sandbox)

    async def test_the_supervisor_ends_at_its_deadline(
        self, backend: SandboxBackend, base: Path, tmp_path: Path
    ) -> None:
        spec = spec_of(seconds=0.5)
        await backend.create(spec, base)
        supervisor = (tmp_path / "sandboxes" / spec.id / "lock").read_text()
        async with asyncio.timeout(10):
            while runs(supervisor):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        with pytest.raises(SandboxError):
            await backend.start(spec.id, bash("agent", "true"))
        with pytest.raises(SandboxError) as error:
            await backend.create(spec, base)
        assert error.value.code == "sandbox_lost"

    async def test_the_nursery_killed(
        self, backend: SandboxBackend, base: Path, sandbox: str, tmp_path: Path
    ) -> None:
        supervisor = (tmp_path / "sandboxes" / sandbox / "lock").read_text()
        os.kill(parent_of(supervisor), 9)
        another = spec_of()
        await backend.create(another, base)
        for name in (sandbox, another.id):
            assert (await run(backend, name, bash("agent", "true"))).exit_code == 0

    async def test_nothing_is_left_of_a_dozen_that_were_killed(
        self, backend: SandboxBackend, base: Path, tmp_path: Path
    ) -> None:
        mark = f"mark-{tmp_path.name}"

        async def one() -> str:
            spec = spec_of()
            await backend.create(spec, base)
            await backend.start(spec.id, bash("agent", f"echo here; exec -a {mark} sleep 300"))
            await heard(backend, spec.id, "agent", b"here\n")
            return spec.id

        made = await asyncio.gather(*(one() for _ in range(12)))
        assert str(tmp_path) not in host_mounts()
        for name in made:
            os.kill(int((tmp_path / "sandboxes" / name / "lock").read_text()), 9)
        await asyncio.gather(*(backend.destroy(name) for name in made))
        async with asyncio.timeout(20):
            while left_of(tmp_path, mark, made):  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.01)

    async def test_a_sandbox_ends_with_its_folder(
        self, backend: SandboxBackend, sandbox: str, tmp_path: Path
    ) -> None:
        mark = tmp_path.name + sandbox
        await backend.start(sandbox, bash("agent", f"echo here; exec -a {mark} sleep 300"))
        await heard(backend, sandbox, "agent", b"here\n")
        folder = tmp_path / "sandboxes" / sandbox
        folder.rename(tmp_path / "gone")
        async with asyncio.timeout(10):
            while host_processes(mark):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


def runs(process: str) -> bool:
    return Path("/proc", process).exists()


def parent_of(process: str) -> int:
    return int(Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[1])


def host_mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def left_of(folder: Path, mark: str, sandboxes: Sequence[str]) -> list[str]:
    """Return what the host still has of some sandboxes: groups, loop devices, processes."""
    left = [str(p) for name in sandboxes for p in Path("/sys/fs/cgroup").glob(f"*/*/{name}")]
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it was let go just now
            left += [path.read_text()] if str(folder) in path.read_text() else []
    return left + [str(path) for path in host_processes(mark)]
