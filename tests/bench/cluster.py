"""How fast a sandbox is there in a cluster, against a bare Job with as many containers, and what it asks of the API server."""

import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from pydantic import BaseModel
from tests.contract.servers import IMAGE, KUBECONFIG, NODE, must_have
from tests.support import cluster
from typing_extensions import override

from codexsys_adapters.kubernetes import manifest, states
from codexsys_adapters.kubernetes.cluster import Cluster
from codexsys_adapters.kubernetes.manifest import Wanted, name_of
from codexsys_adapters.kubernetes.pods import Pods
from codexsys_adapters.kubernetes.site import Object, Site
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import PhaseSpec, SandboxLimits, SandboxRole, SandboxSpec

MOST_RATIO, MOST_CALLS = 1.2, 4
HELLO = PhaseSpec(
    name="agent", argv=("codexsys-python", "-m", "codexsys_agent"), network="door", seconds=60
)


class ClusterFigures(BaseModel):
    """Each round one of either."""

    ours_seconds: list[float]
    bare_seconds: list[float]
    containers: int
    calls: float
    """Of a sandbox's life, streams apart."""

    @property
    def ratio(self) -> float:
        """Return the median of the rounds' ratios."""
        return median(o / b for o, b in zip(self.ours_seconds, self.bare_seconds, strict=True))

    @property
    def missed(self) -> list[str]:
        """Return the names of what is not as it must be."""
        late = [f"create → hello, {self.ratio:.2f}"] if self.ratio > MOST_RATIO else []
        return late + ([f"{self.calls:g} API calls"] if self.calls > MOST_CALLS else [])

    def text(self) -> str:
        """Return the section of the report."""
        ours, bare = median(self.ours_seconds), median(self.bare_seconds)
        return "\n".join(
            [
                "## Sandboxes in a cluster",
                "",
                f"In turns, {len(self.ours_seconds)} rounds, each sandbox gone before the next. The bare Job has {self.containers}",
                "containers of the same kinds, which do nothing, and is there when the watch says that its main one runs.",
                "",
                "| what | ours | a bare Job | ratio | wanted |",
                "|---|---|---|---|---|",
                f"| create → the agent's first word | {ours:.2f} s | {bare:.2f} s | {self.ratio:.2f} | ≤ {MOST_RATIO} |",
                f"| calls to the API server | {self.calls:g} | | | ≤ {MOST_CALLS} |",
                "",
            ]
        )


class Counted(Cluster):
    """A cluster of which calls are counted by method."""

    calls: ClassVar[Counter[str]] = Counter()

    @override
    async def call(self, method: str, path: str, **more: Any) -> Object:
        self.calls[f"{method} {path.rpartition('/')[2] if method == 'GET' else ''}"] += 1
        return await super().call(method, path, **more)


class Contest:
    """Both ways, in one namespace."""

    def __init__(self, folder: Path) -> None:
        self._ids = TimeOrderedIds()
        self._base = folder / "base.git"
        subprocess.run(["git", "init", "-q", "--bare", str(self._base)], check=True)
        gateways = (f"http://{must_have(NODE)}:9",)
        ours, bare = (self._ids.new("p").replace("_", "-") for _ in range(2))
        self._backend = cluster.backend(ours, through=Counted, gateways=gateways)
        self._site = Site(
            platform=bare,
            namespace=cluster.namespace(),
            tools=must_have(IMAGE),
            gateways=gateways,
        )
        self._cluster = Cluster(Path(must_have(KUBECONFIG)))
        self._pods = Pods(self._cluster, self._site)
        self.containers = 0

    async def sandbox(self) -> float:
        """From create to the first word of the agent's program."""
        spec = self._spec()
        began = time.perf_counter()
        await self._backend.create(spec, self._base)
        await self._backend.start(spec.id, HELLO)
        while not await self._backend.output(spec.id, HELLO.name, 0, limit=1):
            pass
        took = time.perf_counter() - began
        await self._backend.destroy(spec.id)
        return took

    async def job(self) -> float:
        """From create to a main container that runs."""
        spec = self._spec()
        jobs = f"/apis/batch/v1/namespaces/{self._site.namespace}/jobs"
        began = time.perf_counter()
        await self._cluster.call("POST", jobs, body=self._bare(spec))
        await self._pods.until(spec.id, lambda pod: states.running(pod, "agent") or None)
        took = time.perf_counter() - began
        at_once = [("propagationPolicy", "Background")]
        await self._cluster.call("DELETE", f"{jobs}/{name_of(spec.id)}", query=at_once)
        await self._pods.until(spec.id, lambda pod: pod is None or None)
        return took

    @property
    def calls(self) -> int:
        """Return how many calls our sandboxes took so far; the list of all pods is no sandbox's."""
        return sum(count for name, count in Counted.calls.items() if name != "GET pods")

    def _bare(self, spec: SandboxSpec) -> Object:
        """Return a Job of ours with nothing but its containers."""
        job = manifest.job(self._site, Wanted(spec, must_have(IMAGE), 100_000))
        job["spec"]["suspend"] = False
        pod = job["spec"]["template"]["spec"]
        made = {kind: pod[kind] for kind in ("initContainers", "containers")}
        self.containers = sum(len(each) for each in made.values())
        job["spec"]["template"]["spec"] = {"restartPolicy": "Never"} | {
            kind: [_idle(each, stays=kind == "containers") for each in containers]
            for kind, containers in made.items()
        }
        return job

    def _spec(self) -> SandboxSpec:
        return SandboxSpec(
            id=self._ids.new("sbx"),
            task_id="task_1",
            tenant_id="ten_a",
            role=SandboxRole.AGENT,
            limits=SandboxLimits(memory_mb=512, disk_mb=256),
            seconds=300,
            token="sbt-of-a-sandbox",
        )


def _idle(container: dict[str, Any], *, stays: bool) -> dict[str, Any]:
    kept = {key: value for key, value in container.items() if key in ("name", "restartPolicy")}
    waits = stays or "restartPolicy" in kept
    command = ["sh", "-c", "trap exit TERM; sleep 300 & wait" if waits else "true"]
    return kept | {"image": must_have(IMAGE), "command": command}


async def measure_cluster(rounds: int) -> ClusterFigures:
    """Measure both in each round, in turns; the first round is a warm-up."""
    with tempfile.TemporaryDirectory(prefix="codexsys-bench-") as folder:
        contest = Contest(Path(folder))
        times: dict[str, list[float]] = {"sandbox": [], "job": []}
        calls = 0
        for number in range(rounds + 1):
            for name in (list(times), [*times][::-1])[number % 2]:
                before = contest.calls
                took = await getattr(contest, name)()
                if number:
                    times[name].append(took)
                    calls += contest.calls - before
        return ClusterFigures(
            ours_seconds=times["sandbox"],
            bare_seconds=times["job"],
            containers=contest.containers,
            calls=calls / rounds,
        )
