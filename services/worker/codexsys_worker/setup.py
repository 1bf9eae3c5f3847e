"""Setup: the base laid out, then the environment's script and the base's own, always on the base tree."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath

from codexsys_core.end_reasons import EndReason
from codexsys_core.outcome import Outcome
from codexsys_core.provision import Provision
from codexsys_core.redaction import SecretRedactor
from codexsys_core.sandbox import PhaseSpec, SandboxRole
from codexsys_core.secret import SecretBox, SecretUnreadable
from codexsys_worker.layers import LayerNames, Layers, holds_setup
from codexsys_worker.room import Room, Rooms
from codexsys_worker.stages import APPLY_SECONDS, StageFailed, limit_outcome, must
from codexsys_worker.work import Prepared, Work

WORKSPACE_SECONDS = 120.0
# The sandbox's own git directory borrows the base's objects; the base stays as it is. Files are laid
# out byte for byte: what git would make of them for a work tree would look like setup's own change.
_WORKSPACE = """
set -e
git config --global --add safe.directory '*'
git config --global user.name codexsys
git config --global user.email agent@codexsys.invalid
git config --global advice.detachedHead false
git init -q -b work
mkdir -p .git/info
echo '* -text !eol -ident -filter -working-tree-encoding' > .git/info/attributes
echo /app/base.git/objects > .git/objects/info/alternates
if [ -e /app/base.git/shallow ]; then cp /app/base.git/shallow .git/shallow; fi
git update-ref refs/heads/work "$1"
git update-ref refs/heads/base "$1"
git reset -q --hard
shift
while [ $# -gt 0 ]; do
  mkdir -p "$HOME/$(dirname "$2")"
  cp "/app/input/$1" "$HOME/$2"
  shift 2
done
"""


class Setups:
    """Knows what setup has to know of the operator, and opens secrets for it alone."""

    def __init__(
        self, *, rooms: Rooms, secrets: SecretBox, operator: Provision, names: LayerNames
    ) -> None:
        self._rooms = rooms
        self._secrets = secrets
        self._operator = operator
        self._names = names

    @property
    def isolated(self) -> bool:
        """Say whether sandboxes keep what runs in them away from the host."""
        return self._rooms.isolated

    def of(self, work: Work, prepared: Prepared) -> "Setup":
        """Return the setup of an attempt; raises `StageFailed` for secrets that no longer open."""
        environment = work.spec.environment
        try:
            clear = environment.opened(self._secrets, row=work.task.id)
        except SecretUnreadable as error:
            outcome = Outcome(reason=EndReason.SECRET_UNREADABLE, detail=error.message)
            raise StageFailed(outcome) from error
        provision = self._operator.narrowed(environment)
        return Setup(
            rooms=self._rooms,
            work=work,
            prepared=prepared,
            clear=clear,
            provision=provision,
            layers=self._names.of(work, prepared, provision, clear),
        )


@dataclass(frozen=True)
class Setup:
    """What every sandbox of one attempt goes through before its own program runs."""

    rooms: Rooms
    work: Work
    prepared: Prepared
    clear: Mapping[str, str]
    """The secrets by name."""
    provision: Provision
    layers: Layers

    def room(self, role: SandboxRole) -> AbstractAsyncContextManager[Room]:
        """Make a sandbox, on what is kept for it; nothing that comes out of it shows a secret."""
        return self.rooms.open(
            self.work,
            role,
            layers=self.layers.wanted,
            redactor=SecretRedactor(self.clear.values()),
        )

    async def run(self, room: Room) -> None:
        """Lay the base out and run the scripts, or stand on what both left; raises `StageFailed`.

        A layer is kept here and nowhere else: before anything but the base and setup was in the
        sandbox, when setup's processes are dead, and only if every step ended well.
        """
        if holds_setup(room.layer):
            await room.note("setup", "== setup: taken from an earlier task with the same inputs")
            return
        if room.layer is None:
            await self._lay_workspace(room)
            await room.keep(self.layers.base)
        if self.has_scripts:
            await self._run_scripts(room)
            await room.keep(self.layers.setup)

    @property
    def has_scripts(self) -> bool:
        """Say whether there is anything to run."""
        return self.work.spec.environment.setup is not None or self.prepared.has_setup

    async def _lay_workspace(self, room: Room) -> None:
        """Check the base out, inside the sandbox: its files may be hostile."""
        home = {PurePosixPath(path).name: path for path in self.provision.home_files}
        placed = [part for pair in home.items() for part in pair]
        phase = PhaseSpec(
            name="workspace",
            argv=("bash", "-c", _WORKSPACE, "workspace", self.prepared.base.commit, *placed),
            files={name: self.provision.home_files[path] for name, path in home.items()},
            seconds=WORKSPACE_SECONDS,
        )
        end = await room.run(phase, stream="setup")
        must(end, "The source could not be laid out in the sandbox.", EndReason.SANDBOX_FAILED)

    async def _run_scripts(self, room: Room) -> None:
        environment = self.work.spec.environment
        told = {**self.provision.variables, **environment.variables}
        if environment.setup is not None:
            script = {"environment.sh": environment.setup.encode()}
            await self._script(
                room, "environment", "/app/input/environment.sh", {**told, **self.clear}, script
            )
        if self.prepared.has_setup:
            env = {**told, **self.clear} if environment.secrets_in_setup_sh else told
            await self._script(room, "setup", "/app/code/setup.sh", env, {})
        if self.clear:
            await self._look_for_secrets(room)

    async def _script(
        self, room: Room, name: str, path: str, env: dict[str, str], files: dict[str, bytes]
    ) -> None:
        network = self.work.spec.environment.network.get("setup", "public")
        argv, more = self.provision.trusting(path)
        phase = PhaseSpec(
            name=name,
            argv=argv,
            env=env,
            files=files | more,
            network="none" if network == "none" else "public",
            allow=tuple(network) if isinstance(network, list) else (),
            seconds=float(self.work.spec.limits.setup_seconds),
        )
        await room.note("setup", f"== {name} script")
        end = await room.run(phase, stream="setup")
        outcome = limit_outcome(end, deadline=EndReason.SETUP_TIMEOUT)
        if outcome is not None:
            raise StageFailed(outcome)
        if end.exit_code:
            detail = f"The {name} script ended with exit status {end.exit_code}."
            reason = EndReason.OUT_OF_MEMORY if end.oom_killed else EndReason.SETUP_FAILED
            raise StageFailed(Outcome(reason=reason, detail=detail))

    async def _look_for_secrets(self, room: Room) -> None:
        """Refuse to go on with a secret in what the next phase would see."""
        script = "grep -rqF -f /app/input/values -- /app/code /app/output /app/home"
        values = "\n".join(value for value in self.clear.values() if value)
        phase = PhaseSpec(
            name="secrets",
            argv=("bash", "-c", script),
            files={"values": values.encode()},
            seconds=APPLY_SECONDS,
        )
        end = await room.run(phase)
        if end.exit_code != 1:
            detail = "Setup left the value of a setup variable in the workspace, the output or the home folder."
            raise StageFailed(Outcome(reason=EndReason.SECRET_LEFT_BEHIND, detail=detail))
