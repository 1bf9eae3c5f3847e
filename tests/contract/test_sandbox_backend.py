"""What every sandbox backend does, whatever it is made of."""

import asyncio
import contextlib
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.contract.sandboxes import (
    ALL,
    ISOLATING,
    Kind,
    bash,
    heard,
    host_processes,
    kind_of,
    opened,
    run,
    said,
    spec_of,
)

from codexsys_core.errors import SandboxError
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import (
    PhaseEnd,
    PhaseSpec,
    SandboxBackend,
)


@pytest.fixture(params=ALL)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    return kind_of(request.param, tmp_path)


@pytest.fixture
async def backend(kind: Kind) -> AsyncIterator[SandboxBackend]:
    async with opened(kind.make()) as made:
        yield made


@pytest.fixture
async def sandbox(backend: SandboxBackend, base: Path) -> str:
    spec = spec_of()
    await backend.create(spec, base)
    return spec.id


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


async def test_workers_that_start_the_same_phase_at_the_same_time(
    kind: Kind, backend: SandboxBackend, sandbox: str
) -> None:
    """A worker that does not know yet that it lost an attempt acts beside its heir."""
    workers = [backend, *(kind.make() for _ in range(5))]
    for number in range(3):
        phase = kind.phase(f"agent-{number}", lines=1)
        ends = await asyncio.gather(*(run(worker, sandbox, phase) for worker in workers))
        assert ends == [PhaseEnd(exit_code=0)] * len(workers)
        assert await said(kind.make(), sandbox, phase.name) == b"line 1\n"


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


@pytest.mark.parametrize("kind", ISOLATING, indirect=True)
async def test_a_phase_reads_its_files_whole_whoever_writes_them_too(
    kind: Kind, backend: SandboxBackend, sandbox: str
) -> None:
    workers = [backend, *(kind.make() for _ in range(3))]
    files = {f"{number}": bytes(1 << 19) for number in range(16)}
    size = sum(map(len, files.values()))
    for number in range(3):
        phase = bash(f"agent-{number}", "cat /app/input/* | wc -c", files=files)
        await asyncio.gather(*(run(worker, sandbox, phase) for worker in workers))
        assert await said(kind.make(), sandbox, phase.name) == f"{size}\n".encode()


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
