"""How fast a local sandbox is there, against `docker run` and `git clone` in the same rounds."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from pydantic import BaseModel
from tests.bench.neighbours import Neighbours
from tests.bench.processes import ROOT
from tests.support.git_http import GitHttpServer, git, make_repository

from codexsys_adapters.docker.backend import DockerBackend
from codexsys_adapters.git.fetcher import GitFetcher
from codexsys_adapters.local.backend import LocalBackend
from codexsys_adapters.outbound import Outbound
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import PhaseSpec, SandboxRole, SandboxSpec
from codexsys_core.source import GitSource

FILES, FILE_BYTES = 4000, 6000
DOCKER_HOST = "CODEXSYS_TEST_DOCKER_HOST"
IMAGE = os.environ.get("CODEXSYS_BENCH_IMAGE", "codexsys/sandbox-base:test")
LAYER = "base"
_CHECK_OUT = """
set -e
git config --global safe.directory '*'
git init -q
echo /app/base.git/objects > .git/objects/info/alternates
git update-ref refs/heads/work "$1"
git checkout -q work
"""


STATIC = ("/sbin/ldconfig", "--version")
"""A program without a dynamic linker, as Debian has it; in no language, or it looks for files first."""


class Figure(BaseModel):
    """One thing that was measured, and what it must be."""

    name: str
    against: str = ""
    wanted: str
    ours_ms: list[float]
    theirs_ms: list[float] = []
    most_ratio: float | None = None
    most_ms: float | None = None

    @property
    def ratio(self) -> float:
        """Return the median of the rounds' ratios."""
        return median(o / t for o, t in zip(self.ours_ms, self.theirs_ms, strict=True))

    @property
    def missed(self) -> bool:
        """Say whether it is not as it must be; what nothing was measured against cannot be missed."""
        if self.most_ms is not None:
            return median(self.ours_ms) > self.most_ms
        return bool(self.theirs_ms) and self.most_ratio is not None and self.ratio > self.most_ratio


class SandboxFigures(BaseModel):
    """All about sandboxes."""

    figures: list[Figure]

    @property
    def missed(self) -> list[str]:
        """Return the names of what is not as it must be."""
        return [figure.name for figure in self.figures if figure.missed]

    def text(self) -> str:
        """Return the section of the report."""
        rows = [
            "## Sandboxes",
            "",
            f"In turns, each round everything once. The repository has {FILES} files of {FILE_BYTES} bytes and is cloned over",
            "HTTP on loopback. Each begins on a synced disk; one warm-up each is not counted. Milliseconds are medians; the",
            "ratio is the median of the rounds' ratios.",
            "",
            "| what | ms | against | ms | ratio | wanted | |",
            "|---|---|---|---|---|---|---|",
        ]
        for each in self.figures:
            theirs = f"{median(each.theirs_ms):.0f}" if each.theirs_ms else "-"
            ratio = f"{each.ratio:.3f}" if each.theirs_ms else "-"
            word = "missed" if each.missed else "met" if each.theirs_ms or each.most_ms else "-"
            rows.append(
                f"| {each.name} | {median(each.ours_ms):.1f} | {each.against or '-'} | {theirs} | {ratio} "
                f"| {each.wanted} | {word} |"
            )
        return "\n".join([*rows, ""])


class Ground:
    """A backend, a repository behind a URL, and what is done with them."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._source = GitSource(url=url)
        self._ids = TimeOrderedIds()
        self._outbound = Outbound(allow_networks=["127.0.0.0/8"], allow_http=True)
        self._agent = ROOT / "services" / "agent"
        self._backend = LocalBackend(
            folder / "data" / "sandboxes", gateway_urls=[], agent_code=self._agent
        )
        self.neighbours = Neighbours(self._backend, self._empty())
        self.containers = self._containers() if DOCKER_HOST in os.environ else None
        self._fetcher = self._new_fetcher("mirrors")

    def _new_fetcher(self, name: str) -> GitFetcher:
        return GitFetcher(outbound=self._outbound, data_dir=self._folder / name)

    def _containers(self) -> Neighbours:
        """Return neighbours of the same kind that are containers."""
        backend = DockerBackend(
            self._folder / "containers" / "sandboxes",
            host=os.environ[DOCKER_HOST],
            sockets=self._folder,
            agent_code=self._agent,
            bundles=self._folder / "bundles",
            platform=str(self._folder),
            image=IMAGE,
        )
        return Neighbours(backend, self._empty())

    async def prepare(self) -> None:
        """Keep the layer of the base's tree, as the first task on a repository leaves it."""
        await self._cold(self._fetcher, keep=True)

    async def first_byte(self) -> None:
        """From create to the first byte of a program that does nothing else."""
        spec = self._spec()
        await self._backend.create(spec, self._empty())
        phase = PhaseSpec(name="p", argv=STATIC, env={"LC_ALL": "C"}, seconds=30)
        await self._heard(spec.id, phase)

    async def hello(self) -> None:
        """From create to the first word of the agent's program."""
        spec = self._spec()
        await self._backend.create(spec, self._empty())
        argv = ("codexsys-python", "-m", "codexsys_agent")
        await self._heard(spec.id, PhaseSpec(name="a", argv=argv, network="door", seconds=30))

    async def warm(self) -> None:
        """A workspace of the repository, which has not changed: the remote is asked."""
        base = self._new("warm")
        await self._fetcher.fetch(self._source, None, base, tenant="ten_a")
        created = await self._backend.create(self._spec(LAYER), base)
        if created.layer != LAYER:
            raise SystemExit("the workspace was not warm")

    async def laid(self) -> None:
        """The same without asking: the base is at hand, as for a second sandbox of a task."""
        created = await self._backend.create(self._spec(LAYER), self._empty())
        if created.layer != LAYER:
            raise SystemExit("the workspace was not warm")

    async def cold(self) -> None:
        """A workspace of a repository that was never seen."""
        await self._cold(self._new_fetcher(self._new("mirrors").name), keep=False)

    async def clone(self) -> None:
        """What one would do instead."""
        target = self._new("clone")
        await run("git", "clone", "-q", "--depth", "1", self._url, str(target))

    async def docker(self) -> None:
        """What one would do instead."""
        await run("docker", "-H", os.environ[DOCKER_HOST], "run", "--rm", IMAGE, "true")

    async def clear(self) -> None:
        """Remove what a round left."""
        for neighbours in filter(None, (self.neighbours, self.containers)):
            await neighbours.clear()
        for path in self._folder.glob("round-*"):
            await asyncio.to_thread(shutil.rmtree, path)

    async def _cold(self, fetcher: GitFetcher, *, keep: bool) -> None:
        base = self._new("cold")
        fetched = await fetcher.fetch(self._source, None, base, tenant="ten_a")
        spec = self._spec()
        await self._backend.create(spec, base)
        argv = ("bash", "-c", _CHECK_OUT, "work", fetched.commit)
        await self._backend.start(spec.id, PhaseSpec(name="workspace", argv=argv, seconds=60))
        end = await self._backend.wait(spec.id, "workspace")
        if end.exit_code != 0:
            raise SystemExit(f"no workspace: {end}")
        if keep:
            await self._backend.keep(spec.id, LAYER)

    async def _heard(self, sandbox: str, phase: PhaseSpec) -> None:
        await self._backend.start(sandbox, phase)
        while not await self._backend.output(sandbox, phase.name, 0, limit=1):
            pass

    def _new(self, name: str) -> Path:
        return self._folder / f"round-{name}-{time.monotonic_ns()}"

    def _empty(self) -> Path:
        return self._folder / "empty.git"

    def _spec(self, *layers: str) -> SandboxSpec:
        return SandboxSpec(
            id=self._ids.new("sbx"),
            task_id="task_1",
            tenant_id="ten_a",
            role=SandboxRole.AGENT,
            layers=layers,
            seconds=600,
        )


What = Callable[[], Awaitable[float | None]]


async def measure_sandboxes(rounds: int, *, neighbours: bool = False) -> SandboxFigures:
    """Measure everything in each round, or only `neighbours`, in turns."""
    with place() as (folder, url):
        ground = Ground(folder, url)
        whats = beside(ground) if neighbours else await everything(ground)
        times: dict[str, list[float]] = {name: [] for name in whats}
        for number in range(rounds + 1):
            turn = number % len(whats)
            for name in [*list(whats)[turn:], *list(whats)[:turn]]:
                await asyncio.to_thread(os.sync)  # nobody pays for what another has written
                try:
                    took = await timed(whats[name])
                finally:
                    await ground.clear()
                if number:  # the first is the warm-up
                    times[name].append(took)
        return SandboxFigures(figures=figures(times))


async def everything(ground: Ground) -> dict[str, What]:
    """Return all that is measured, by name."""
    await ground.prepare()
    own = [ground.first_byte, ground.hello, ground.warm, ground.laid, ground.cold, ground.clone]
    docker = {"docker": ground.docker} if ground.containers else {}
    return {what.__name__: what for what in own} | docker | beside(ground)


def beside(ground: Ground) -> dict[str, What]:
    """Return what is measured of neighbours, by name."""
    whats: dict[str, What] = {
        "alone": ground.neighbours.alone,
        "beside": ground.neighbours.beside,
    }
    if ground.containers:
        whats["containers alone"] = ground.containers.alone
        whats["containers beside"] = ground.containers.beside
    return whats


def figures(times: dict[str, list[float]]) -> list[Figure]:
    """Say what the times stand for."""
    docker, clone = times.get("docker", []), times.get("clone", [])
    run_true, depth_1 = f"docker run --rm {IMAGE} true", "git clone --depth 1"

    def figure(name: str, key: str, against: str, theirs: list[float], most: float) -> Figure:
        return Figure(
            name=name,
            against=against,
            wanted=f"≤ {most:g}",
            ours_ms=times.get(key, []),
            theirs_ms=theirs,
            most_ratio=most,
        )

    found = [
        figure("create → first byte", "first_byte", run_true, docker, 0.10),
        Figure(
            name="create → the agent's first word",
            wanted="≤ 250 ms",
            ours_ms=times.get("hello", []),
            most_ms=250,
        ),
        figure("workspace, warm, remote asked", "warm", depth_1, clone, 0.05),
        figure("workspace, warm, base at hand", "laid", depth_1, clone, 0.05),
        figure("workspace, cold", "cold", depth_1, clone, 1.2),
        *(
            figure(
                f"work beside a hostile neighbour, {name}",
                f"{kind}beside",
                "alone",
                times.get(f"{kind}alone", []),
                1.2,
            )
            for name, kind in (("local", ""), ("docker", "containers "))
        ),
    ]
    return [each for each in found if each.ours_ms]


async def timed(what: Callable[[], Awaitable[float | None]]) -> float:
    """Return what it says that it took, else what it took."""
    started = time.perf_counter()
    own = await what()
    return (time.perf_counter() - started) * 1000 if own is None else own


async def run(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(*argv, stdin=subprocess.DEVNULL)
    if await process.wait() != 0:
        raise SystemExit(f"failed: {' '.join(argv)}")


@contextmanager
def place() -> Iterator[tuple[Path, str]]:
    """Give a folder, and the URL of a repository in it."""
    with tempfile.TemporaryDirectory(prefix="codexsys-bench-") as name:
        folder = Path(name)
        served = folder / "served"
        text = os.urandom(FILE_BYTES // 2).hex()
        names = (f"d{number % 100}/f{number}.txt" for number in range(FILES))
        make_repository(served / "repository", {name: f"{name}\n{text}" for name in names})
        git(folder, "init", "--quiet", "--bare", "--template=", str(folder / "empty.git"))
        with GitHttpServer(served) as server:
            yield folder, server.url("repository")
