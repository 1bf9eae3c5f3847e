"""One isolated place: its row, and the contract of what makes it."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from codexsys_core.attempt import Hold
from codexsys_core.environment import EnvironmentService


class SandboxRole(StrEnum):
    """What a sandbox is for; a token is good only for what its role needs."""

    AGENT = "agent"
    BASELINE = "baseline"
    VERIFY = "verify"
    PREFLIGHT = "preflight"
    """A row alone, for the token of the platform's own calls before there is a sandbox: nothing is made."""


class SandboxState(StrEnum):
    """Where a sandbox's row is; it only goes forward."""

    NEW = "new"
    LIVE = "live"
    ENDED = "ended"


class Sandbox(BaseModel):
    """A sandbox's row, inserted before the sandbox is made."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    tenant_id: str
    attempt_id: str
    attempt: int
    fence: int
    """Of the owner that made it; whoever adopts the attempt carries on with it under a higher one."""
    role: SandboxRole
    backend: str
    place: str
    """The host since it started and its folder or engine, or cluster and namespace: who can reach it."""
    life: int = 1
    """Which order of steps and names its phases and logs follow: who knows another one leaves it alone."""
    state: SandboxState = SandboxState.NEW
    token_hash: str | None = None
    deadline: datetime
    created_at: datetime
    ended_at: datetime | None = None
    destroyed_at: datetime | None = None
    end_reason: str | None = None


class SandboxStore(Protocol):
    """Rows of sandboxes."""

    async def add(self, hold: Hold, sandbox: Sandbox) -> bool:
        """Fenced: insert the row as `new`; False when the hold is stale."""

    async def live(self, sandbox_id: str) -> bool:
        """Move new → live; False when the row has ended meanwhile."""

    async def end(self, hold: Hold, sandbox_id: str, reason: str) -> bool:
        """Fenced: move to ended, for good; its token is dead from here on.

        True when the row has ended, whoever did it: then it may be destroyed. False when the hold
        is stale and the sandbox is another owner's.
        """

    async def destroyed(self, sandbox_id: str) -> None:
        """Note that nothing is left of it."""

    async def by_token(self, token_hash: str) -> Sandbox | None:
        """Return the live (or new) sandbox with this token, None when it is not good."""

    async def get(self, sandbox_id: str) -> Sandbox | None:
        """Return a row."""

    async def of_task(self, task_id: str) -> list[Sandbox]:
        """Return all rows of a task in order."""

    async def undestroyed(self, place: str) -> list[Sandbox]:
        """Return the rows at this place that are not noted as destroyed."""


class SandboxLimits(BaseModel):
    """What one sandbox may use."""

    model_config = ConfigDict(frozen=True)

    cpus: float = 2
    share: float = 1
    """Processors; who takes more weighs less beside other sandboxes, for as long as it does."""
    memory_mb: int = 4096
    disk_mb: int = 10_240
    inodes: int = 1_000_000
    pids: int = 512
    output_bytes: int = 16 * 1024 * 1024
    """Per phase; more ends the phase with `output_limit`."""


class SandboxSpec(BaseModel):
    """What a backend needs to make a sandbox."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    tenant_id: str
    role: SandboxRole
    image: str | None = None
    services: tuple[EnvironmentService, ...] = ()
    """Run beside the phases, on loopback of the same network namespace."""
    layers: tuple[str, ...] = ()
    """Kept files to stand on (`SandboxBackend.keep`), the best first; of this tenant alone."""
    limits: SandboxLimits = Field(default_factory=SandboxLimits)
    seconds: float
    """Wall clock of the whole sandbox; it ends itself then."""
    token: SecretStr | None = None
    """Of the door, for role agent; it never enters the sandbox."""


class Created(BaseModel):
    """What a sandbox stands on."""

    model_config = ConfigDict(frozen=True)

    layer: str | None = None
    """The first of the wanted layers that is kept here; its files are in place already."""


Progress = Callable[[str], None]
"""Is told, in lines for a person, what takes long; must not block."""


def image_line(digest: str) -> str:
    """Return what is said of the image that a sandbox stands on."""
    return f"== image {digest}"


def silent(_: str) -> None:
    """Tell nobody."""


class PhaseSpec(BaseModel):
    """One program in the sandbox. All processes of a phase are dead when it ends.

    argv[0] `codexsys-python` stands for the backend's own interpreter, with `codexsys_agent`
    importable. `files` are laid down read-only under /app/input for this phase.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    """Unique in the sandbox: workspace, setup, agent, checks, collect-1, …"""
    argv: tuple[str, ...]
    env: dict[str, str] = Field(default_factory=dict)
    files: dict[str, bytes] = Field(default_factory=dict)
    network: Literal["none", "public", "door"] = "none"
    allow: tuple[str, ...] = ()
    """`cidr:port` that network public may reach beside public addresses."""
    workspace: Literal["write", "read", "sealed"] = "write"
    """read: /app/code is read-only (explain); sealed: output and home too (collecting)."""
    seconds: float
    output: Literal["text", "binary"] = "text"
    """text: stdout and stderr together; binary: stdout alone, stderr dropped after 4 KiB."""
    output_bytes: int | None = None
    """Overrides the sandbox's limit."""


class PhaseEnd(BaseModel):
    """How a phase ended. Exactly one of exit_code and reason is set."""

    model_config = ConfigDict(frozen=True)

    exit_code: int | None = None
    """128 + n for a signal n."""
    reason: (
        Literal[
            "out_of_memory",
            "too_many_processes",
            "disk_full",
            "output_limit",
            "deadline",
            "signalled",
            "sandbox_failed",
            "sandbox_lost",
            "network_open",
        ]
        | None
    ) = None
    detail: str = ""
    oom_killed: bool = False
    """Some process of the phase was killed for memory, though perhaps not its program."""


class SandboxBackend(Protocol):
    """Makes sandboxes that outlive the worker that made them.

    Order: create → (start → wait)* → destroy; one phase at a time; keep between two phases. Every
    call takes the row's id and may come from another process than the one that created it, on the
    same place. Calls about different sandboxes may run at the same time. `create`, `start`, `keep`
    and `destroy` are idempotent. Calls about a sandbox that is not there raise
    `SandboxError(code="sandbox_lost")`; what cannot be made raises `SandboxError`
    (`image_not_found`, `image_not_allowed`, `image_unusable`, `services_not_supported`, else
    `sandbox_failed`). A phase that fails is data
    (`PhaseEnd`).
    """

    @property
    def place(self) -> str:
        """Return who can reach this backend's sandboxes, e.g. a folder on a host since it started."""

    @property
    def unenforced(self) -> tuple[str, ...]:
        """Return the limits that cannot be held here (fields of `SandboxLimits`); mostly none."""

    async def create(
        self, spec: SandboxSpec, base: Path | None, *, progress: Progress = silent
    ) -> Created:
        """Make the sandbox; `base` (a bare git directory) is copied to /app/base.git, read-only.

        /app/code, /app/output and /app/home are writable: empty, or as the layer has them. Progress is
        told an image's digest where there are images, perhaps only while the first phase runs. Without
        a base it is only found again: `sandbox_lost` when it is not there, or nothing keeps it.
        """

    async def keep(self, sandbox_id: str, layer: str) -> None:
        """Keep code, output and home as they are now, for later sandboxes of the same tenant.

        What a later sandbox writes never changes the layer. Old layers are forgotten when there
        are many; keeping is best effort and raises nothing but `sandbox_lost`.
        """

    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        """Start a phase; returns when its program runs. Starting the same name again is no error."""

    async def wait(self, sandbox_id: str, phase: str) -> PhaseEnd:
        """Return when the phase has ended; may be asked again."""

    async def output(
        self, sandbox_id: str, phase: str, offset: int, *, limit: int = 65_536
    ) -> bytes:
        """Return captured output from an offset; waits up to a second for more while it runs."""

    async def signal(self, sandbox_id: str, *, kill: bool = False) -> None:
        """Ask the running phase to stop (SIGTERM), or kill it; no error when none runs."""

    async def list(self) -> list[str]:
        """Return the ids of all sandboxes at this place."""

    async def destroy(self, sandbox_id: str) -> None:
        """Kill and remove it whole: processes, mounts, folders, network."""
