"""The probe: every way out that we know, tried inside real sandboxes of every backend."""

import asyncio
import ctypes
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.contract.servers import DOCKER, IMAGE, NODE, must_have
from tests.probe import leftovers
from tests.probe.attempt import Told
from tests.probe.page import PAGE, written
from tests.probe.table import ATTEMPTS
from tests.support import cluster
from tests.support.recording_gateway import RecordingGateway

from codexsys_adapters.docker.backend import DockerBackend
from codexsys_adapters.kubernetes.backend import KubernetesBackend
from codexsys_adapters.local.backend import LocalBackend
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import (
    PhaseEnd,
    PhaseSpec,
    SandboxBackend,
    SandboxLimits,
    SandboxRole,
    SandboxSpec,
)

REPOSITORY = Path(__file__).parents[2]
AGENT = REPOSITORY / "services" / "agent"
PROBE = {
    f"tests/probe/{path.name}": path.read_bytes()
    for path in (REPOSITORY / "tests/probe").glob("*.py")
}
TOKEN = "sbt-of-the-sandbox-that-is-probed"
OWN_ADDRESS = "198.51.100.78"
SERVERS = (
    "CODEXSYS_TEST_MYSQL_URL",
    "CODEXSYS_TEST_REDIS_URL",
    "CODEXSYS_TEST_S3_URL",
    "CODEXSYS_TEST_KAFKA",
)
STAY = "import sys, time; sys.path.insert(0, '/app/input'); from tests.probe.leftovers import leave; leave(True); print('up', flush=True); time.sleep(300)"
NOBODY = (
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
)
OF_PODS = {
    "interfaces",  # all containers of a pod have its network; the rules are what closes it
    "mounts_with_devices",  # volumes cannot be told otherwise; nobody may make a device
    "write_proc",  # /proc/pressure, which only the cluster's runtime could hide
    "left_scratch",  # a file that the cluster wants; what was in it is gone
}
"""Where a pod's wall is another one than elsewhere, or not ours to build."""
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordingGateway]:
    folder = tmp_path / "gateways"
    folder.mkdir()  # which every door may enter
    in_cluster = "kubernetes" in request.node.name
    with RecordingGateway(folder, must_have(NODE) if in_cluster else "127.0.0.1") as running:
        yield running


def local(folder: Path, gateway: RecordingGateway) -> SandboxBackend:
    return LocalBackend(folder / "sandboxes", gateway_urls=[gateway.url], agent_code=AGENT)


def docker(folder: Path, gateway: RecordingGateway) -> SandboxBackend:
    return DockerBackend(
        folder / "sandboxes",
        host=must_have(DOCKER),
        sockets=folder / "gateways",
        agent_code=AGENT,
        bundles=folder.parent / "bundles",
        platform=str(folder),
        image=must_have(IMAGE),
    )


def kubernetes(folder: Path, gateway: RecordingGateway) -> SandboxBackend:
    platform = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return cluster.backend(platform, gateways=(gateway.url,))


KINDS = {"local": local, "docker": docker, "kubernetes": kubernetes}


@pytest.fixture(
    params=[
        "local",
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("kubernetes", marks=pytest.mark.kubernetes),
    ]
)
async def backend(
    request: pytest.FixtureRequest, tmp_path: Path, gateway: RecordingGateway
) -> AsyncIterator[SandboxBackend]:
    made = KINDS[request.param](tmp_path, gateway)
    yield made
    for name in await made.list():
        await made.destroy(name)


async def make(backend: SandboxBackend, base: Path, tenant: str) -> str:
    spec = SandboxSpec(
        id=TimeOrderedIds().new("sbx"),
        task_id="task_1",
        tenant_id=tenant,
        role=SandboxRole.AGENT,
        limits=SandboxLimits(memory_mb=512, pids=128, disk_mb=128),
        seconds=240,
        token=TOKEN,
    )
    await backend.create(spec, base)
    return spec.id


async def run(backend: SandboxBackend, sandbox: str, phase: PhaseSpec) -> str:
    await backend.start(sandbox, phase)
    end = await asyncio.wait_for(backend.wait(sandbox, phase.name), 150)
    data = b""
    while piece := await backend.output(sandbox, phase.name, len(data)):
        data += piece
    assert end == PhaseEnd(exit_code=0), f"{end}: {data.decode()}"
    return data.decode()


async def plant(backend: SandboxBackend, sandbox: str, *words: str) -> None:
    """Run a phase that leaves behind what it can."""
    code = f"import sys; sys.path.insert(0, '/app/input'); from tests.probe.leftovers import leave; leave({'kept' in words})"
    await run(
        backend,
        sandbox,
        PhaseSpec(name="earlier", argv=("codexsys-python", "-c", code), files=PROBE, seconds=30),
    )


async def stay(backend: SandboxBackend, base: Path) -> str:
    """Make another tenant's sandbox, in which something runs and listens."""
    neighbour = await make(backend, base, "tenant_2")
    phase = PhaseSpec(name="agent", argv=("codexsys-python", "-c", STAY), files=PROBE, seconds=200)
    await backend.start(neighbour, phase)
    async with asyncio.timeout(20):
        while b"up" not in await backend.output(neighbour, "agent", 0):
            pass
    return neighbour


async def probed(
    backend: SandboxBackend, sandbox: str, phase: PhaseSpec, told: Told
) -> dict[str, str]:
    """Return the answers that no wall gave."""
    argv = ("codexsys-python", "/app/input/tests/probe/__main__.py", phase.name)
    text = await run(
        backend, sandbox, phase.model_copy(update={"argv": argv, "files": given(told)})
    )
    assert TOKEN not in text
    answers = json.loads(text)
    wanted = {
        entry.name for entry in ATTEMPTS if (entry.agent if phase.name == "agent" else entry.setup)
    }
    assert answers.keys() == wanted
    pods = OF_PODS if isinstance(backend, KubernetesBackend) else set()
    wrong = unexpected(phase.name, answers)
    return {name: answer for name, answer in wrong.items() if name not in pods}


def given(told: Told) -> dict[str, bytes]:
    """Return the probe's files."""
    return PROBE | {"told.json": json.dumps(asdict(told)).encode()}


def unexpected(phase: str, answers: dict[str, str]) -> dict[str, str]:
    """Return the answers that no wall gave."""
    tried = [entry for entry in ATTEMPTS if entry.name in answers]
    return {
        entry.name: answers[entry.name]
        for entry in tried
        if entry.wrong(phase, answers[entry.name])
    }


@contextmanager
def own_address() -> Iterator[None]:
    """Give this host one more address, at which its services answer."""
    given = (f"{OWN_ADDRESS}/32", "dev", "lo")
    subprocess.run(["ip", "address", "add", *given], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "address", "del", *given], check=True)


@contextmanager
def in_use(key: int, queue: str) -> Iterator[None]:
    """Keep shared memory and a message queue of ours, as a host's programs have them."""
    memory = _libc.shmget(key, 4096, 0o1666)
    _libc.mq_close(_libc.mq_open(queue.encode(), os.O_CREAT | os.O_RDWR, 0o666, None))
    try:
        yield
    finally:
        _libc.shmctl(memory, 0, None)
        _libc.mq_unlink(queue.encode())


@pytest.fixture
def host(tmp_path: Path, gateway: RecordingGateway) -> Iterator[Told]:
    """What there is on this host to be found."""
    mark = f"host-{tmp_path.name}-{os.getpid()}"
    socket_path = f"/tmp/{mark}.sock"
    with ExitStack() as stack:
        stack.enter_context(own_address())
        stack.enter_context(in_use(key := 0x5EED0000 + os.getpid(), queue := f"/{mark}"))
        everywhere = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        for place in (socket_path, f"\0{mark}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(place)
            listener.listen()
        stack.callback(os.unlink, socket_path)
        process = stack.enter_context(subprocess.Popen([mark, "300"], executable="/usr/bin/sleep"))
        stack.callback(process.kill)
        port = everywhere.getsockname()[1]
        yield Told(
            paths=[str(path) for path in (tmp_path, REPOSITORY, sys.prefix, socket_path, __file__)],
            sockets=[socket_path],
            abstract=[mark, leftovers.MARK],
            loopback=[port, gateway.port, leftovers.PORT, *server_ports()],
            addresses=[f"{address}:{port}" for address in (OWN_ADDRESS, *addresses())],
            pids=[int(path.name) for path in Path("/proc").glob("[0-9]*")],
            keys=[key],
            queues=[queue],
            words=[str(tmp_path), str(REPOSITORY), mark, TOKEN],
        )


def addresses() -> list[str]:
    """Return this host's addresses beside loopback."""
    found = subprocess.run(
        ["hostname", "-I"], check=True, capture_output=True, text=True
    ).stdout.split()
    return [address for address in found if ":" not in address and address != OWN_ADDRESS]


def server_ports() -> list[int]:
    """Return the ports of the real servers, where tests have some."""
    places = (os.environ.get(name, "") for name in SERVERS)
    split = (urlsplit(place if "//" in place else f"//{place}") for place in places if place)
    return [place.port for place in split if place.port]


async def test_agent_phase(
    backend: SandboxBackend, base: Path, host: Told, gateway: RecordingGateway
) -> None:
    earlier = await make(backend, base, "tenant_1")
    await plant(backend, earlier, "kept")
    await backend.destroy(earlier)
    neighbour = await stay(backend, base)
    sandbox = await make(backend, base, "tenant_1")
    await plant(backend, sandbox)
    phase = PhaseSpec(name="agent", argv=("x",), network="door", seconds=120)
    told = replace(host, words=[*host.words, neighbour])
    wrong = await probed(backend, sandbox, phase, told)
    assert not wrong, json.dumps(wrong, indent=1)
    assert_asked_as_allowed(gateway)


def assert_asked_as_allowed(gateway: RecordingGateway) -> None:
    """Hold when each request that came through the door was the door's own."""
    passed = [entry for entry in gateway.asked if not entry[0].startswith("/v1/control")]
    assert len(passed) >= 10
    may = {"host", "accept-encoding", "content-length", "accept", "content-type", "idempotency-key"}
    for path, headers in gateway.asked:
        names = [name for name, _ in headers]
        assert path.startswith("/v1/")
        assert ".." not in path
        assert [value for name, value in headers if name == "authorization"] == [f"Bearer {TOKEN}"]
        assert set(names) - {"authorization"} <= may
        assert {value for name, value in headers if name == "host"} <= gateway.hosts


async def test_setup_phase(backend: SandboxBackend, base: Path, host: Told) -> None:
    earlier = await make(backend, base, "tenant_1")
    await plant(backend, earlier, "kept")
    await backend.destroy(earlier)
    neighbour = await stay(backend, base)
    sandbox = await make(backend, base, "tenant_1")
    await plant(backend, sandbox)
    phase = PhaseSpec(name="setup", argv=("x",), network="public", seconds=120)
    told = replace(host, words=[*host.words, neighbour])
    wrong = await probed(backend, sandbox, phase, told)
    assert not wrong, json.dumps(wrong, indent=1)


def test_the_page_names_every_attempt() -> None:
    text = PAGE.read_text()
    assert written(text) == text, "run `make docs`"


OPEN_TO_A_USER = [
    "host_files", "platform_sockets", "writable_elsewhere", "processes_of_others", "system_v", "message_queues",
    "interfaces", "host_loopback", "platform_servers", "abstract_sockets", "vsock", "other_families",
    "walls_are_up", "new_user_namespace", "io_uring_setup", "name_to_handle_at", "i386", "write_proc",
]  # fmt: skip


def test_the_probe_notices_what_is_open(host: Told) -> None:
    """Run outside, as an ordinary user: what it missed there it would miss inside, too."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        for name, content in given(host).items():
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        program = ["/usr/bin/python3", "-I", f"{folder}/tests/probe/__main__.py"]
        argv = [*NOBODY, *program, "agent", folder, *OPEN_TO_A_USER]
        ran = subprocess.run(argv, env={}, cwd="/", capture_output=True, check=True)
    assert unexpected("agent", json.loads(ran.stdout)).keys() == set(OPEN_TO_A_USER)
