"""What is asked for: one command in one image, and what it may have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codexsys_core.errors import Invalid

WORKSPACE = "/workspace"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i)?")
_DURATION = re.compile(r"([1-9][0-9]*)(s|m|h|d)?")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Asked:
    """One run."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    entrypoint: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    workspace: str | None = WORKSPACE
    """Where the scratch volume, or the claim, is; None for neither."""
    claim: str | None = None
    """A claim that is there already, in place of the scratch volume."""
    sync: Path | None = None
    """A folder here that goes in, and whose changes come back."""
    work_there: bool = False
    """Whether the command starts in the workspace, and not where its image says."""
    user: int | None = None
    pull_secrets: tuple[str, ...] = ()
    service_account: str | None = None
    keep: bool = False
    seconds: int | None = None
    start_seconds: int = 600
    lost_seconds: int = 180
    """After how long without a word from here the cluster ends a Job that is not to be kept."""

    def __post_init__(self) -> None:
        problems = [said for said in (*self._named(), *self._sized()) if said]
        if problems:
            raise Invalid("; ".join(problems))

    def _named(self) -> list[str]:
        said = []
        if not _NAME.fullmatch(self.name):
            said.append("--name: at most 53 of a to z, 0 to 9 and -, not - at its ends")
        if not self.image or self.image != self.image.strip():
            said.append("the image needs a name")
        wrong = [name for name in self.variables if not _VARIABLE.fullmatch(name)]
        return [*said, *(f"--env: {name!r} is no name of a variable" for name in wrong)]

    def _sized(self) -> list[str]:
        said = []
        for kind, sizes in (("request", self.requests), ("limit", self.limits)):
            for what, size in sizes.items():
                if not _QUANTITY.fullmatch(size):
                    said.append(f"--{kind}-{what}: {size!r} is no amount such as 500m or 2Gi")
        if self.sync and not self.workspace:
            said.append("--sync needs a workspace, and --no-workspace says that there is none")
        if self.sync and not self.sync.is_dir():
            said.append(f"--sync: {self.sync} is no folder")
        if self.workspace is not None and not _place(self.workspace):
            said.append("--workspace-mount: an absolute path that is not /, or CLAIM:PATH")
        return said


def seconds_of(text: str) -> int:
    """Return a duration such as 90, 90s, 30m, 2h or 1d in seconds."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise Invalid(f"{text!r} is no duration such as 90s, 30m or 2h")
    return int(found[1]) * _SECONDS[found[2]]


def variables_of(lines: str) -> dict[str, str]:
    """Return what the lines of an env file say: `K=V`, comments and empty lines as Docker reads them."""
    kept = [line for line in lines.splitlines() if line.strip() and not line.startswith("#")]
    wrong = [line.partition("=")[0] for line in kept if "=" not in line]
    if wrong:
        raise Invalid(f"--env-file: {', '.join(wrong)}: not K=V")
    return dict(line.lstrip().split("=", 1) for line in kept)


def _place(path: str) -> bool:
    parts = path.split("/")
    return path.startswith("/") and len(path) > 1 and ".." not in parts and ":" not in path
