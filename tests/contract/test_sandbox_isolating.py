"""What a sandbox that isolates does beside the contract of all, and the layers that it leaves."""

import shlex
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sandboxes import (
    ISOLATING,
    KEEPING,
    LIMITS,
    Kind,
    bash,
    container_weight,
    group_weight,
    heard,
    host_processes,
    kind_of,
    opened,
    run,
    said,
    spec_of,
    until_weighs,
)

from codexsys_adapters.walls.yielding import YIELDING
from codexsys_core.errors import SandboxError
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import (
    PhaseSpec,
    SandboxBackend,
)


@pytest.fixture
async def backend(kind: Kind) -> AsyncIterator[SandboxBackend]:
    async with opened(kind.make()) as made:
        yield made


@pytest.fixture
async def sandbox(backend: SandboxBackend, base: Path) -> str:
    spec = spec_of()
    await backend.create(spec, base)
    return spec.id


MOODY = """
spin() { while :; do :; done; }
trap 'spin & one=$!; spin & two=$!; trap "kill $one $two" TERM' TERM
sleep 1000 & echo calm; while :; do wait; done
"""
"""Takes two processors when it is signalled, and none when it is signalled again."""


class TestIsolating:
    """What only a sandbox that isolates can show."""

    @pytest.fixture(params=ISOLATING)
    def kind(self, request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
        return kind_of(request.param, tmp_path)

    async def test_fork_bomb(self, backend: SandboxBackend, sandbox: str) -> None:
        many = "import os, time\nfor _ in range(200): os.fork() or time.sleep(60)\nos.wait()"
        end = await run(backend, sandbox, bash("agent", f"python3 -c {shlex.quote(many)}"))
        assert end.reason == "too_many_processes"

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


class TestHolding:
    """What only a sandbox with a weight and a disk of its own can show."""

    @pytest.fixture(params=KEEPING)
    def kind(self, request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
        return kind_of(request.param, tmp_path)

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

    @pytest.fixture(params=KEEPING)
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
