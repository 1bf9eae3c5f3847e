"""What sandboxed code can see, reach and do: the probe, run inside real sandboxes."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sandboxes import AGENT, heard, spec_of
from tests.contract.servers import DOCKER, IMAGE, must_have
from tests.support.halting_gateway import HaltingGateway
from tests.support.ordinary_user import OWN_ADDRESS

from codexsys_adapters.docker.backend import DockerBackend
from codexsys_adapters.local.backend import LocalBackend
from codexsys_core.sandbox import (
    PhaseEnd,
    PhaseSpec,
    SandboxBackend,
    SandboxLimits,
)

REPOSITORY = Path(__file__).parents[2]
PROBE = Path(__file__).with_name("sandbox_probe.py")
TOKEN = "sbt-very-secret"
KINDS = ["local", pytest.param("docker", marks=pytest.mark.docker)]
ABSENT = {
    "local": ["/home", "/var", "/run", "/sys"],
    "docker": [
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/run/containerd",
        "/run/codexsys/token",
    ],
}
LINK = {"local": "tap0", "docker": "eth0"}
NOTHING: dict[str, list[str]] = {"write": [], "see": [], "connect": []}


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    folder = tmp_path / "gateways"
    folder.mkdir()
    return folder


@pytest.fixture
def gateway(sockets: Path) -> Iterator[HaltingGateway]:
    made = HaltingGateway(folder=sockets)
    yield made
    made.go_on.set()
    made.stop()


class Sandbox:
    """One sandbox and how tests use it."""

    def __init__(self, kind: str, backend: SandboxBackend, sandbox_id: str) -> None:
        self.kind = kind
        self.backend = backend
        self.id = sandbox_id

    async def run(self, name: str, *argv: str, **more: Any) -> tuple[PhaseEnd, str]:
        given: dict[str, Any] = {"seconds": 30} | more
        await self.backend.start(self.id, PhaseSpec(name=name, argv=argv, **given))
        end = await asyncio.wait_for(self.backend.wait(self.id, name), 40)
        return end, (await self.backend.output(self.id, name, 0, limit=1 << 20)).decode()

    async def heard(self, wanted: bytes) -> bytes:
        """Return what the agent's phase said as soon as it holds what is wanted."""
        return await heard(self.backend, self.id, "agent", wanted)

    async def probe(self, name: str, told: dict[str, list[str]], **more: Any) -> dict[str, Any]:
        files = {"probe.py": PROBE.read_bytes(), "probe.json": json.dumps(NOTHING | told).encode()}
        end, text = await self.run(name, "python3", "/app/input/probe.py", files=files, **more)
        assert end == PhaseEnd(exit_code=0), text
        report: dict[str, Any] = json.loads(text)
        return report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "sandboxes"


def made(kind: str, root: Path, sockets: Path, gateway: HaltingGateway) -> SandboxBackend:
    allow = [f"{OWN_ADDRESS}/32:{gateway.port}"]
    if kind == "local":
        return LocalBackend(root, gateway_urls=[gateway.url], agent_code=AGENT, setup_allow=allow)
    return DockerBackend(
        root,
        host=must_have(DOCKER),
        sockets=sockets,
        agent_code=AGENT,
        bundles=root.parents[1] / "bundles",
        platform=str(root),
        image=must_have(IMAGE),
        setup_allow=allow,
    )


@pytest.fixture(params=KINDS)
async def sandbox(
    request: pytest.FixtureRequest,
    base: Path,
    root: Path,
    sockets: Path,
    gateway: HaltingGateway,
) -> AsyncIterator[Sandbox]:
    backend = made(request.param, root, sockets, gateway)
    limits = SandboxLimits(memory_mb=256, pids=64, disk_mb=64)
    spec = spec_of(limits=limits, token=TOKEN)
    await backend.create(spec, base)
    yield Sandbox(request.param, backend, spec.id)
    await backend.destroy(spec.id)


async def test_nothing_of_the_platform_is_inside(sandbox: Sandbox, root: Path) -> None:
    see = [str(root), str(REPOSITORY), sys.prefix, "/root/.ssh", *ABSENT[sandbox.kind]]
    report = await sandbox.probe("agent", {"see": see}, env={"OWN": "1"})
    assert report["visible"] == []
    assert report["environ"].keys() <= {
        *("HOME", "PATH", "LANG", "TMPDIR", "USER", "CI", "OWN", "PWD", "PIP_CERT", "LC_CTYPE"),
        *("PIP_BREAK_SYSTEM_PACKAGES", "PIP_DISABLE_PIP_VERSION_CHECK", "PYTHONDONTWRITEBYTECODE"),
    }
    assert report["environ_1"] in ("", "!EACCES")
    assert TOKEN not in json.dumps(report)
    assert str(root) not in json.dumps(report)
    assert len(report["descriptors"]) == 3
    assert all(name.startswith(("/dev/null", "pipe:")) for name in report["descriptors"])
    assert not report["sockets"]


async def test_no_rights(sandbox: Sandbox) -> None:
    never = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/oom_score_adj"]
    read_only = [
        "/x",
        "/usr/x",
        "/etc/passwd",
        "/dev/x",
        "/app/x",
        "/app/input/x",
        "/app/base.git/x",
    ]
    may = ["/app/code/x", "/app/home/x", "/app/output/x", "/tmp/x", "/dev/shm/x"]
    report = await sandbox.probe("agent", {"write": [*never, *read_only, *may]})
    assert set(report["writable"]) - {"/proc/1/oom_score_adj"} == set(may)
    assert report["uid"] >= 10001
    assert set(report["capabilities"].values()) == {"0000000000000000"}
    assert report["no_new_privs"] == "1"
    assert report["seccomp"] == "2"
    calls = report["calls"]
    assert calls.pop("clone3") == "ENOSYS"
    assert {calls.pop("vsock"), calls.pop("packet")} == {"EAFNOSUPPORT"}
    assert calls.pop("setuid") in ("EPERM", "EINVAL")
    assert set(calls.values()) == {"EPERM"}
    assert not {"sda", "vda", "kmsg", "mem", "fuse", "kvm"} & set(report["devices"])


async def test_the_hosts_uid(sandbox: Sandbox) -> None:
    mark = f"mark-{sandbox.id}"
    phase = PhaseSpec(
        name="agent", argv=("bash", "-c", f"echo up; exec -a {mark} sleep 60"), seconds=60
    )
    await sandbox.backend.start(sandbox.id, phase)
    found = await seen(mark)
    status = dict(line.split(":\t", 1) for line in (found / "status").read_text().splitlines())
    uids = {int(number) for number in status["Uid"].split()}
    assert len(uids) == 1
    assert (uids.pop() >= 10_000) if os.geteuid() == 0 else uids == {os.geteuid()}


async def seen(mark: str) -> Path:
    """Return the host's view of a process as soon as it is there."""
    async with asyncio.timeout(10):
        while not (found := processes_called(mark)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    return found[0]


def processes_called(mark: str) -> list[Path]:
    files = Path("/proc").glob("[0-9]*/cmdline")
    return [file.parent for file in files if reads(file).startswith(mark.encode())]


def reads(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended
        return b""


async def test_no_other_processes(sandbox: Sandbox) -> None:
    report = await sandbox.probe("agent", {})
    assert len(report["processes"]) == 2
    assert str(os.getpid()) not in report["processes"]


async def test_network_none(sandbox: Sandbox, gateway: HaltingGateway) -> None:
    addresses = ["127.0.0.1:8700", f"127.0.0.1:{gateway.port}", "1.1.1.1:80", "169.254.169.254:80"]
    report = await sandbox.probe("agent", {"connect": addresses})
    assert report["interfaces"] == ["lo"]
    assert set(report["connects"].values()) == {"ECONNREFUSED", "ENETUNREACH"}


async def test_only_the_door_answers(sandbox: Sandbox, gateway: HaltingGateway) -> None:
    addresses = ["127.0.0.1:8700", f"127.0.0.1:{gateway.port}", "1.1.1.1:80"]
    report = await sandbox.probe("agent", {"connect": addresses}, network="door")
    assert report["interfaces"] == ["lo"]
    assert list(report["connects"].values()) == ["open", "ECONNREFUSED", "ENETUNREACH"]
    assert TOKEN not in json.dumps(report)


ASK = """
import json, sys, urllib.request as u
headers = {"Authorization": "Bearer sandbox", "Host": "evil", "X-Own": "1", "Content-Type": "a/b"}
print("asking", flush=True)
r = u.urlopen(u.Request("http://127.0.0.1:8700" + sys.argv[1], b"hello", headers), timeout=20)
print(r.status, r.headers.get("X-Inner"), flush=True)
for line in r: print(line.decode(), end="", flush=True)
"""


async def test_the_door_adds_the_token(sandbox: Sandbox) -> None:
    end, text = await sandbox.run("agent", "python3", "-c", ASK, "/v1/x?a=1", network="door")
    assert end.exit_code == 0, text
    _, status, seen, last = text.splitlines()
    told = json.loads(seen)
    headers = {name.lower(): value for name, value in told["headers"].items()}
    assert (status, last) == ("202 None", "end")
    assert (told["path"], told["body"]) == ("/v1/x?a=1", "hello")
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["content-type"] == "a/b"
    assert "x-own" not in headers
    assert headers["host"] != "evil"


async def test_the_door_leads_to_the_gateways_api_only(sandbox: Sandbox) -> None:
    end, text = await sandbox.run("agent", "python3", "-c", ASK, "/metrics", network="door")
    assert end.exit_code == 1
    assert "404" in text


async def test_the_door_streams(sandbox: Sandbox, gateway: HaltingGateway) -> None:
    phase = PhaseSpec(
        name="agent", argv=("python3", "-c", ASK, "/v1/slow"), seconds=30, network="door"
    )
    await sandbox.backend.start(sandbox.id, phase)
    assert b"end" not in await sandbox.heard(b"hello")
    gateway.go_on.set()
    assert await sandbox.backend.wait(sandbox.id, "agent") == PhaseEnd(exit_code=0)
    assert (await sandbox.heard(b"end\n")).endswith(b"end\n")


async def test_the_door_holds_while_the_gateway_restarts(
    sandbox: Sandbox, gateway: HaltingGateway, sockets: Path
) -> None:
    gateway.stop()
    phase = PhaseSpec(
        name="agent", argv=("python3", "-c", ASK, "/v1/x"), seconds=30, network="door"
    )
    await sandbox.backend.start(sandbox.id, phase)
    await sandbox.heard(b"asking")
    again = HaltingGateway(port=gateway.port, folder=sockets)
    try:
        end = await sandbox.backend.wait(sandbox.id, "agent")
        text = await sandbox.backend.output(sandbox.id, "agent", 0)
        assert end == PhaseEnd(exit_code=0), text.decode()
    finally:
        again.stop()


async def test_a_revoked_token_ends_the_sandbox(sandbox: Sandbox, gateway: HaltingGateway) -> None:
    phase = PhaseSpec(name="agent", argv=("sleep", "60"), seconds=60, network="door")
    await sandbox.backend.start(sandbox.id, phase)
    gateway.revoked.set()
    end = await asyncio.wait_for(sandbox.backend.wait(sandbox.id, "agent"), 20)
    assert end == PhaseEnd(reason="signalled")
    assert set(gateway.polled) == {f"Bearer {TOKEN}"}


@pytest.fixture
def own_address() -> Iterator[str]:
    """Give this host one more address, unless it has it, at which its services answer."""
    if OWN_ADDRESS in subprocess.check_output(["ip", "address", "show", "dev", "lo"], text=True):
        yield OWN_ADDRESS
        return
    given = ["ip", "address", "add", f"{OWN_ADDRESS}/32", "dev", "lo"]
    subprocess.run(given, check=True)
    yield OWN_ADDRESS
    subprocess.run(["ip", "address", "del", f"{OWN_ADDRESS}/32", "dev", "lo"], check=True)


async def test_online_setup(sandbox: Sandbox, gateway: HaltingGateway, own_address: str) -> None:
    allowed, other = HaltingGateway(own_address, gateway.port), HaltingGateway(own_address)
    refused = [
        f"127.0.0.1:{gateway.port}",
        f"{own_address}:{other.port}",
        f"10.0.2.2:{gateway.port}",
        "169.254.169.254:80",
        "192.168.0.1:80",
    ]
    open_one = f"{own_address}:{gateway.port}"
    try:
        told = {"connect": [open_one, *refused]}
        report = await sandbox.probe("setup", told, network="public")
        narrowed = ("203.0.113.0/24:443",)
        closed = await sandbox.probe(
            "setup-2", {"connect": [open_one]}, network="public", allow=narrowed
        )
    finally:
        allowed.stop()
        other.stop()
    assert report["interfaces"] == sorted(["lo", LINK[sandbox.kind]])
    assert report["connects"].pop(open_one) == "open"
    assert set(report["connects"].values()) == {"ECONNREFUSED"}
    assert closed["connects"] == {open_one: "ECONNREFUSED"}
    after = await sandbox.probe("agent", {"connect": [open_one]}, network="none")
    assert after["connects"] == {open_one: "ENETUNREACH"}


async def test_rules_that_cannot_be_loaded(sandbox: Sandbox) -> None:
    end, text = await sandbox.run("setup", "true", network="public", allow=("nonsense",))
    assert end.reason == "sandbox_failed"
    assert text == ""
    assert await sandbox.backend.wait(sandbox.id, "setup") == end
