"""The phases that every sandbox goes through before its own program runs."""

from codexsys_core.end_reasons import EndReason
from codexsys_core.outcome import Outcome
from codexsys_core.sandbox import PhaseEnd, PhaseSpec
from codexsys_core.task import TaskSpec
from codexsys_worker.room import Room
from codexsys_worker.work import Prepared

WORKSPACE_SECONDS = 120.0
APPLY_SECONDS = 60.0
_LIMITS = {
    "out_of_memory": EndReason.OUT_OF_MEMORY,
    "too_many_processes": EndReason.TOO_MANY_PROCESSES,
    "disk_full": EndReason.DISK_FULL,
    "output_limit": EndReason.OUTPUT_LIMIT,
    "deadline": EndReason.DEADLINE,
    "sandbox_failed": EndReason.SANDBOX_FAILED,
    "sandbox_lost": EndReason.SANDBOX_LOST,
    "signalled": EndReason.SANDBOX_LOST,
}
# The sandbox's own git directory borrows the base's objects; the base stays as it is.
_WORKSPACE = """
set -e
git config --global --add safe.directory '*'
git config --global user.name codexsys
git config --global user.email agent@codexsys.invalid
git config --global advice.detachedHead false
git init -q -b work
echo /app/base.git/objects > .git/objects/info/alternates
if [ -e /app/base.git/shallow ]; then cp /app/base.git/shallow .git/shallow; fi
git update-ref refs/heads/work "$1"
git update-ref refs/heads/base "$1"
git reset -q --hard
"""


class StageFailed(Exception):
    """A phase ended badly; holds the outcome for the task."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


def limit_outcome(end: PhaseEnd, *, deadline: EndReason = EndReason.DEADLINE) -> Outcome | None:
    """Return the outcome of a phase that a limit or the platform ended; None when its program did."""
    if end.reason is None:
        return None
    reason = deadline if end.reason == "deadline" else _LIMITS[end.reason]
    return Outcome(reason=reason, detail=end.detail)


async def lay_workspace(room: Room, prepared: Prepared) -> None:
    """Check the base out, inside the sandbox: its files may be hostile."""
    end = await room.run(
        PhaseSpec(
            name="workspace",
            argv=("bash", "-c", _WORKSPACE, "workspace", prepared.base.commit),
            seconds=WORKSPACE_SECONDS,
        ),
        stream="setup",
    )
    _must(end, "The source could not be laid out in the sandbox.", EndReason.SANDBOX_FAILED)


async def run_setup(room: Room, spec: TaskSpec, prepared: Prepared) -> None:
    """Run the environment's script, then the base's setup.sh, both on the base tree and online."""
    environment = spec.environment
    secrets = environment.setup_variables
    if environment.setup is not None:
        script = {"environment.sh": environment.setup.encode()}
        env = environment.variables | secrets
        argv = ("bash", "/app/input/environment.sh")
        await _setup_phase(
            room, spec, PhaseSpec(name="environment", argv=argv, env=env, files=script, seconds=1)
        )
    if prepared.has_setup:
        argv = ("bash", "/app/code/setup.sh")
        await _setup_phase(
            room, spec, PhaseSpec(name="setup", argv=argv, env=environment.variables, seconds=1)
        )
    if secrets:
        await _look_for_secrets(room, list(secrets.values()))


async def _setup_phase(room: Room, spec: TaskSpec, phase: PhaseSpec) -> None:
    network = spec.environment.network.get("setup", "public")
    allow = tuple(network) if isinstance(network, list) else ()
    phase = phase.model_copy(
        update={
            "network": "none" if network == "none" else "public",
            "allow": allow,
            "seconds": float(spec.limits.setup_seconds),
        }
    )
    await room.note("setup", f"== {phase.name} script")
    end = await room.run(phase, stream="setup")
    outcome = limit_outcome(end, deadline=EndReason.SETUP_TIMEOUT)
    if outcome is not None:
        raise StageFailed(outcome)
    if end.exit_code:
        detail = f"The {phase.name} script ended with exit status {end.exit_code}."
        reason = EndReason.OUT_OF_MEMORY if end.oom_killed else EndReason.SETUP_FAILED
        raise StageFailed(Outcome(reason=reason, detail=detail))


async def _look_for_secrets(room: Room, values: list[str]) -> None:
    """Refuse to go on with a secret in what the next phase would see."""
    script = "grep -rqF -f /app/input/values -- /app/code /app/output /app/home"
    files = {"values": "\n".join(value for value in values if value).encode()}
    end = await room.run(
        PhaseSpec(name="secrets", argv=("bash", "-c", script), files=files, seconds=APPLY_SECONDS)
    )
    if end.exit_code != 1:
        detail = "Setup left the value of a setup variable in the workspace, the output or the home folder."
        raise StageFailed(Outcome(reason=EndReason.SECRET_LEFT_BEHIND, detail=detail))


async def apply_patch(room: Room, patch: bytes, *, name: str) -> None:
    """Apply a change to the workspace, with the network closed."""
    if not patch:
        return
    argv = ("git", "apply", "--binary", "--whitespace=nowarn", "/app/input/patch")
    end = await room.run(
        PhaseSpec(name=name, argv=argv, files={"patch": patch}, seconds=APPLY_SECONDS),
        stream="setup",
    )
    _must(end, "The earlier change does not apply after setup.", EndReason.PATCH_REFUSED)


def _must(end: PhaseEnd, detail: str, reason: EndReason) -> None:
    outcome = limit_outcome(end)
    if outcome is None and end.exit_code:
        outcome = Outcome(reason=reason, detail=detail)
    if outcome is not None:
        raise StageFailed(outcome)
