"""No sandbox: what holds all the same. A user of its own, an empty environment, and nothing left behind."""

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.foreground import command_lines
from tests.support.git_http import git

from codexsys_adapters.bare import BareBackend
from codexsys_adapters.bare.backend import problem
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import PhaseEnd, PhaseSpec, SandboxLimits, SandboxRole, SandboxSpec
from codexsys_wiring.backends import agent_code

MARK = "codexsys-test-bare"


class Bare:
    """Runs phases, each to its end."""

    def __init__(self, backend: BareBackend, base: Path) -> None:
        self.backend = backend
        self._base = base
        self._number = 0

    async def make(self, name: str, **limits: Any) -> str:
        spec = SandboxSpec(
            id=f"sbx_{name}",
            task_id="task_1",
            tenant_id="tnt_1",
            role=SandboxRole.AGENT,
            limits=SandboxLimits(**limits),
            seconds=60,
        )
        await self.backend.create(spec, self._base)
        return spec.id

    async def run(
        self,
        sandbox: str,
        script: str,
        *,
        seconds: float = 20,
        argv: Sequence[str] = (),
        **more: Any,
    ) -> tuple[PhaseEnd, str]:
        self._number += 1
        name = f"phase-{self._number}"
        words = tuple(argv) or ("bash", "-c", script)
        phase = PhaseSpec(name=name, argv=words, seconds=seconds, **more)
        await self.backend.start(sandbox, phase)
        end = await self.backend.wait(sandbox, name)
        return end, (await self.backend.output(sandbox, name, 0, limit=1 << 20)).decode()


def left() -> list[str]:
    """Return what should not be there any more: places, and command lines with our mark."""
    places = ["/app/.codexsys", f"/tmp/{MARK}", f"/dev/shm/{MARK}"]
    lines = [line for line in command_lines() if MARK in line]
    return [place for place in places if os.path.lexists(place)] + lines


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Bare]:
    if said := problem():
        pytest.fail(said)
    base = tmp_path / "base"
    git(tmp_path, "init", "-q", "--bare", str(base))
    backend = BareBackend(
        tmp_path / "sandboxes", gateway_urls=[], agent_code=agent_code(), python=Path("/usr")
    )
    try:
        yield Bare(backend, base)
    finally:
        for sandbox in await backend.list():
            await backend.destroy(sandbox)
        assert problem() == ""
        assert left() == []


async def test_a_phase_is_another_user_with_an_environment_of_its_own(bare: Bare) -> None:
    sandbox = await bare.make("one")
    end, said = await bare.run(
        sandbox, "id -u; grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Groups' /proc/self/status; env"
    )
    assert end.exit_code == 0
    assert int(said.splitlines()[0]) >= 10_000
    assert said.count("0000000000000000") == 2
    assert "NoNewPrivs:\t1" in said
    assert "Groups:\t \n" in said
    names = {line.partition("=")[0] for line in said.splitlines()[5:]}
    assert names <= {
        *("HOME", "PATH", "LANG", "TMPDIR", "USER", "CI", "PWD", "SHLVL", "_", "OLDPWD"),
        *("PIP_BREAK_SYSTEM_PACKAGES", "PIP_DISABLE_PIP_VERSION_CHECK", "PYTHONDONTWRITEBYTECODE"),
    }
    end, said = await bare.run(
        sandbox, f"cat /proc/{os.getpid()}/environ; ls /app/.codexsys /root; ls /proc/self/fd"
    )
    assert said.count("ermission denied") == 3
    assert end.exit_code == 0


async def test_nothing_of_a_phase_outlives_it(bare: Bare) -> None:
    sandbox = await bare.make("one")
    script = (
        f'setsid bash -c "exec -a {MARK} sleep 600" & '
        f"(while :; do sleep 0.01 & done) & echo x > /tmp/{MARK}; mkdir -p /dev/shm/{MARK}/a; sleep 0.3"
    )
    end, _ = await bare.run(sandbox, script)
    assert end.exit_code == 0
    assert [each for each in left() if MARK in each] == []


async def test_sandboxes_take_turns_and_keep_their_files_apart(bare: Bare) -> None:
    one, two = await bare.make("one"), await bare.make("two")
    await bare.run(
        one, "echo one > /app/code/mine; chmod 700 /app/code /app/home; mkdir -m 0 /app/output/x"
    )
    _, said = await bare.run(
        two, "ls -A /app/code; cat /app/input/told; pwd", files={"told": b"hello "}
    )
    assert said == "hello /app/code\n"
    end, said = await bare.run(one, "cat /app/code/mine; ls /app/input; echo x > /app/input/y")
    assert said.startswith("one\n")
    assert end.exit_code == 1


async def test_how_phases_end(bare: Bare) -> None:
    sandbox = await bare.make("one", output_bytes=1000, disk_mb=64)
    wanted = {
        "exit 3": PhaseEnd(exit_code=3),
        "kill -9 $$": PhaseEnd(exit_code=137),
        "yes": PhaseEnd(reason="output_limit"),
        "trap '' TERM; while :; do :; done": PhaseEnd(reason="deadline"),
        "head -c 100M /dev/zero > big": PhaseEnd(exit_code=153),
    }
    for script, end in wanted.items():
        seconds = 0.3 if end.reason == "deadline" else 20
        assert (await bare.run(sandbox, script, seconds=seconds))[0] == end, script
    end, said = await bare.run(sandbox, "", argv=["no-such-program"])
    assert (end.exit_code, "no-such-program" in said) == (127, True)


async def test_what_only_a_sandbox_has_is_refused(bare: Bare) -> None:
    with pytest.raises(SandboxError) as refused:
        await bare.backend.wait("sbx_none", "x")
    assert refused.value.code == "sandbox_lost"
    spec = SandboxSpec(
        id="sbx_i", task_id="t", tenant_id="t", role=SandboxRole.AGENT, image="x", seconds=9
    )
    with pytest.raises(SandboxError) as refused:
        await bare.backend.create(spec, Path("/"))
    assert refused.value.code == "image_unusable"
