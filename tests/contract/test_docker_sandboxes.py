"""What only containers have: images, services beside the sandbox, an engine that can die."""

import asyncio
import io
import os
import shlex
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sandboxes import (
    LIMITS,
    container_weight,
    docker,
    host_processes,
    opened,
    spec_of,
    until_weighs,
)
from tests.contract.servers import DOCKER, IMAGE, SMALL_IMAGE, must_have
from tests.support.distributed import free_port
from tests.support.registry import Registry

from codexsys_adapters.docker.backend import DockerBackend
from codexsys_adapters.walls.yielding import YIELDING
from codexsys_core.environment import EnvironmentService
from codexsys_core.errors import SandboxError
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import PhaseEnd, PhaseSpec, SandboxRole

pytestmark = pytest.mark.docker

REPOSITORY = Path(__file__).parents[2]
STACK = Path(
    os.environ.get("CODEXSYS_STACK_DIR")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codexsys-stack"
)
SMALL_ARCHIVE = STACK / "lib/sandbox-small.tar"


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., DockerBackend]:
    return lambda **more: docker(tmp_path, **more)


@pytest.fixture
async def backend(make: Callable[..., DockerBackend]) -> AsyncIterator[DockerBackend]:
    async with opened(make()) as made:
        yield made


async def run(
    backend: DockerBackend, sandbox: str, name: str, script: str, **more: Any
) -> tuple[PhaseEnd, str]:
    given: dict[str, Any] = {"seconds": 30, "argv": ("bash", "-c", script)} | more
    await backend.start(sandbox, PhaseSpec(name=name, **given))
    end = await asyncio.wait_for(backend.wait(sandbox, name), 60)
    return end, (await backend.output(sandbox, name, 0, limit=1 << 20)).decode()


SERVE = "import http.server as h, os; os.chdir('/run'); open('word', 'w').write(os.environ['WORD']); h.test(h.SimpleHTTPRequestHandler, port=5432, bind='127.0.0.1')"
SPIN = "while :; do :; done"
ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5432/word', timeout=5).read().decode())"
ASKED = f"python3 -c {shlex.quote(ASK)}"


def service(**more: Any) -> EnvironmentService:
    given = {"name": "words", "image": must_have(IMAGE), "port": 5432}
    given |= {"command": ("python3", "-c", SERVE), "variables": {"WORD": "hello there"}}
    return EnvironmentService(**(given | more))


class TestServices:
    async def test_beside_the_agent(self, backend: DockerBackend, base: Path) -> None:
        told: list[str] = []
        spec = spec_of(services=(service(),), token="secret")
        await backend.create(spec, base, progress=told.append)
        assert any("words" in line for line in told)
        assert await run(backend, spec.id, "agent", ASKED, network="door") == (
            PhaseEnd(exit_code=0),
            "hello there\n",
        )
        for number, more in enumerate(({}, {"workspace": "sealed"})):
            end, _ = await run(backend, spec.id, f"other-{number}", ASKED, **more)
            assert end.exit_code == 1

    async def test_beside_the_checks(self, backend: DockerBackend, base: Path) -> None:
        spec = spec_of(services=(service(),), role=SandboxRole.VERIFY)
        await backend.create(spec, base)
        await backend.create(spec, base)
        assert (await run(backend, spec.id, "checks", ASKED))[1] == "hello there\n"
        other = spec_of(role=SandboxRole.VERIFY)
        await backend.create(other, base)
        assert (await run(backend, other.id, "checks", ASKED))[0].exit_code == 1

    async def test_all_of_a_sandbox_weighs_as_much_as_another(
        self, backend: DockerBackend, base: Path, tmp_path: Path
    ) -> None:
        served = f"{SPIN} & exec python3 -c {shlex.quote(SERVE)}"
        greedy = service(command=("bash", "-c", served))
        limits = LIMITS.model_copy(update={"share": 0.05})
        spec = spec_of(services=(greedy,), limits=limits)
        await backend.create(spec, base)
        await run(backend, spec.id, "agent", "true")
        weight = partial(container_weight, tmp_path / "sandboxes" / spec.id)
        await until_weighs(partial(weight, "phase-agent"), 1 / 2)
        await until_weighs(partial(weight, "service-words"), 1 / 2 / YIELDING)

    async def test_one_that_ends(self, backend: DockerBackend, base: Path) -> None:
        broken = service(command=("sh", "-c", "echo no such word >&2; exit 3"))
        with pytest.raises(SandboxError, match="words ended: no such word"):
            await backend.create(spec_of(services=(broken,)), base)


class TestImages:
    async def test_pulled_with_progress(
        self, make: Callable[..., DockerBackend], backend: DockerBackend, base: Path, engine: Any
    ) -> None:
        told: list[str] = []
        with Registry(SMALL_ARCHIVE) as registry:
            name = f"{registry.name}/small:1"
            await make(allowed=[f"{registry.name}/*"]).create(
                spec_of(image=name), base, progress=told.append
            )
            assert told[-1] == f"== image {registry.name}/small@{registry.digest}"
            engine("rmi", "--force", name)
        assert any("pulling" in line for line in told)
        assert any("1 of 1 layers" in line for line in told)

    async def test_one_that_does_not_exist(
        self, make: Callable[..., DockerBackend], base: Path
    ) -> None:
        with Registry(SMALL_ARCHIVE) as registry:
            assert await refused(make(), base, f"{registry.name}/other:1") == "image_not_found"

    async def test_a_registry_that_is_away(
        self, make: Callable[..., DockerBackend], base: Path
    ) -> None:
        assert await refused(make(), base, f"127.0.0.1:{free_port()}/x:1") == "sandbox_failed"

    async def test_one_without_a_shell(
        self, make: Callable[..., DockerBackend], base: Path, engine: Any
    ) -> None:
        name = f"codexsys/bare:{base.parent.name.lower()[:40]}"
        engine("import", "-", name, feed=empty_archive())
        assert await refused(make(), base, name) == "image_unusable"
        engine("rmi", name)

    async def test_one_that_is_not_allowed(
        self, make: Callable[..., DockerBackend], base: Path
    ) -> None:
        backend = make(allowed=["codexsys/*", "python:3.*"])
        assert await refused(backend, base, "evil/codexsys/x") == "image_not_allowed"

    async def test_without_python_git_bash_and_glibc(
        self, backend: DockerBackend, base: Path
    ) -> None:
        spec = spec_of(image=must_have(SMALL_IMAGE), token="secret")
        await backend.create(spec, base)
        assert (await run(backend, spec.id, "musl", "", argv=("hello",)))[1] == "said by musl\n"
        code = "import json, ssl, ctypes, subprocess as s; print(s.run(['git', '--version'], capture_output=True, text=True).stdout)"
        end, text = await run(backend, spec.id, "agent", "", argv=("codexsys-python", "-c", code))
        assert (end, text[:11]) == (PhaseEnd(exit_code=0), "git version")
        script = "git init -q . && echo x > x && git add x && git -c user.name=a -c user.email=b commit -qm x && git log --oneline | grep x && [[ $(id -un) == sandbox ]]"
        end, text = await run(backend, spec.id, "git", script)
        assert end == PhaseEnd(exit_code=0), text
        end, text = await run(backend, spec.id, "env", "touch /data/x && env; which python3")
        assert end.exit_code == 127
        assert "/app/home" in text
        assert await backend.list() == [spec.id]


class TestLabels:
    async def test_a_folder_that_a_label_names_is_not_removed(
        self, make: Callable[..., DockerBackend], engine: Any, tmp_path: Path
    ) -> None:
        sandbox = TimeOrderedIds().new("sbx")
        for victim in (tmp_path / "victim", tmp_path / sandbox):
            (victim / "phases").mkdir(parents=True)
            (victim / "spec.json").write_text('{"platform": "another"}')
            labels = {"sandbox": sandbox, "folder": str(victim)}
            given = [f"--label=codexsys.dev/{name}={value}" for name, value in labels.items()]
            engine("create", *given, must_have(SMALL_IMAGE))
            await make().destroy(sandbox)
            assert (victim / "spec.json").exists()
            with pytest.raises(SandboxError):
                await make().wait(sandbox, "agent")


class TestDoor:
    async def test_many_rounds_with_many_who_hold_on(
        self, backend: DockerBackend, base: Path
    ) -> None:
        spec = spec_of(token="secret")
        await backend.create(spec, base)
        code = "import socket; held = [socket.socket(socket.AF_UNIX) for _ in range(20)]; [each.connect('\\0codexsys-door') for each in held]; print('held')"
        for number in range(4):
            end, text = await run(
                backend, spec.id, f"agent-{number}", f'python3 -c "{code}"', network="door"
            )
            assert (end, text) == (PhaseEnd(exit_code=0), "held\n")

    async def test_phases_named_as_what_stands_beside_them(
        self, backend: DockerBackend, base: Path
    ) -> None:
        spec = spec_of(token="secret")
        await backend.create(spec, base)
        for name in ("door", "gate-door"):
            end, text = await run(backend, spec.id, name, "echo here", network="door")
            assert (end, text) == (PhaseEnd(exit_code=0), "here\n")

    async def test_a_door_that_is_killed(
        self, backend: DockerBackend, base: Path, engine: Any
    ) -> None:
        spec = spec_of(token="secret")
        await backend.create(spec, base)
        phase = PhaseSpec(name="agent", argv=("sleep", "60"), network="door", seconds=60)
        await backend.start(spec.id, phase)
        engine("kill", f"{spec.id}.door")
        assert (await backend.wait(spec.id, "agent")).reason == "sandbox_lost"
        assert (await run(backend, spec.id, "next", "true", network="door"))[0].exit_code == 0


class TestWeather:
    @pytest.mark.parametrize("flood", ["yes", "cat /dev/zero", "while :; do echo; done"])
    async def test_endless_output(self, backend: DockerBackend, base: Path, flood: str) -> None:
        spec = spec_of()
        await backend.create(spec, base)
        end, text = await run(backend, spec.id, "agent", flood, output_bytes=300_000)
        assert end.reason == "output_limit"
        assert len(text) == 300_000

    async def test_the_deadline_needs_no_worker(
        self, make: Callable[..., DockerBackend], base: Path
    ) -> None:
        mark = f"mark-{base.parent.name}"
        worker = f"""
import asyncio, sys
from pathlib import Path
from tests.contract.sandboxes import docker, spec_of
from codexsys_core.sandbox import PhaseSpec
async def main():
    backend, spec = docker(Path({str(base.parent)!r})), spec_of(token="secret")
    await backend.create(spec, Path({str(base)!r}))
    script = "trap '' TERM; setsid -f bash -c 'trap \\"\\" TERM; exec -a {mark} sleep 300'; exec -a {mark} sleep 300"
    await backend.start(spec.id, PhaseSpec(name="agent", argv=("bash", "-c", script), network="door", seconds=2))
    print(spec.id, flush=True)
asyncio.run(main())
"""
        ran = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", worker],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
        )
        async with asyncio.timeout(2 + 10):
            while host_processes(mark):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        sandbox = ran.stdout.decode().strip()
        assert (await make().wait(sandbox, "agent")).reason == "deadline"
        await make().destroy(sandbox)

    async def test_the_engine_is_killed(self, backend: DockerBackend, base: Path) -> None:
        specs = [spec_of(token="secret") for _ in range(5)]
        for spec in specs:
            await backend.create(spec, base)
            phase = PhaseSpec(name="agent", argv=("sleep", "300"), network="door", seconds=300)
            await backend.start(spec.id, phase)
        ends = [asyncio.create_task(backend.wait(spec.id, "agent")) for spec in specs]
        await asyncio.to_thread(stack, "kill", "docker.daemon")
        with pytest.raises(SandboxError):
            await backend.destroy(specs[0].id)
        await asyncio.to_thread(stack, "up", "--keep", "docker")
        async with asyncio.timeout(60):
            assert {(await end).reason for end in ends} == {"sandbox_lost"}
        for spec in specs:
            await backend.destroy(spec.id)
        assert await backend.list() == []


def stack(*words: str) -> None:
    subprocess.run([REPOSITORY / "tests/stack/stack", *words], check=True, capture_output=True)


async def refused(backend: DockerBackend, base: Path, image: str) -> str:
    """Return the code with which a sandbox of an image is refused."""
    spec = spec_of(image=image)
    with pytest.raises(SandboxError) as error:
        await backend.create(spec, base)
    await backend.destroy(spec.id)
    assert await backend.list() == []
    return error.value.code


def empty_archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    return packed.getvalue()


@pytest.fixture
def engine() -> Any:
    def told(*words: str, feed: bytes = b"") -> None:
        argv = ["docker", "--host", must_have(DOCKER), *words]
        subprocess.run(argv, input=feed, check=True, capture_output=True)

    return told
