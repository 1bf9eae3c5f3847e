"""Where the code comes from, and the ports that fetch it."""

import re
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, SecretStr

from codexsys_core.growing import Growing

_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[-/.]|[/.]$|^@$")
LONGEST_REF = 255


def is_ref(text: str) -> bool:
    """Say whether a branch, a tag or a commit can have this name, as `git check-ref-format` does."""
    return 0 < len(text) <= LONGEST_REF and _NO_REF.search(text) is None


class GitSource(BaseModel):
    """A Git URL and a ref; the ref is resolved once per task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["git"] = "git"
    url: str
    ref: str | None = None
    submodules: bool = False


class GitLogin(BaseModel):
    """Who the platform is at one Git server, for every task alike: so only where there is one tenant."""

    model_config = ConfigDict(frozen=True)

    url: str
    """Of a repository there. Its scheme, host and port are what the login is good for."""
    user: str
    password: SecretStr


class ZipSource(BaseModel):
    """An uploaded zip, vetted: exactly this sha256 is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["zip"] = "zip"
    object: str
    """`codexsys-code/tmp_zips/<task_id>/code.zip`"""
    sha256: str
    size: int
    filename: str = "code.zip"


class TaskSource(BaseModel):
    """The result of an earlier task of the same tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["task"] = "task"
    task_id: str


Source = GitSource | ZipSource | TaskSource


class Base(BaseModel):
    """The source's tree at one commit, stored as a bare git directory in a tar.gz."""

    model_config = ConfigDict(frozen=True)

    commit: str
    """Full object id of `refs/heads/base`."""
    tree: str
    object: str | None = None
    """Where it is stored; None until it is."""


class SourceFailure(Exception):
    """The source cannot be used. Holds an end reason and a sentence; nothing is left behind."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        """The value of an `EndReason`."""
        self.detail = detail


class GitFetcher(Protocol):
    """Fetches a repository on the trusted side. Concurrency-safe; credentials never leave it.

    Raises `SourceFailure` for everything that is the source's fault.
    """

    def vet(self, url: str) -> str:
        """Check form, scheme and literal address without a connection; return the canonical URL.

        Raises `Invalid` with code url_refused or address_denied.
        """

    async def resolve(self, source: GitSource, *, tenant: str) -> str:
        """Ask the remote for the ref's commit id."""

    async def fetch(
        self, source: GitSource, commit: str | None, into: Path, *, tenant: str
    ) -> Base:
        """Make `into` (must not exist) a bare git directory with one ref, `refs/heads/base`."""


class ZipReader(Protocol):
    """Checks and unpacks zips with one parser, in a child without network."""

    async def vet(self, file: Path | Growing) -> None:
        """Refuse (`Invalid`, code zip_refused) what cannot be unpacked safely.

        One that still grows is looked through meanwhile, and judged once all of it is there; `GivenUp` where
        that cannot be, and then it is to be judged as any other.
        """

    async def unpack(self, file: Path, into: Path) -> Base:
        """Make `into` (must not exist) a bare git directory with a platform-made commit.

        The same bytes always give the same commit and tree. Raises `SourceFailure`.
        """
