"""The public form of sources, and of what a check of one found."""

from pydantic import BaseModel

from codexsys_core.source import GitSource, Source, ZipSource


class GitFields(BaseModel):
    """Where a repository is."""

    url: str
    ref: str | None
    submodules: bool


class GitShown(BaseModel):
    """A Git source."""

    git: GitFields


class ZipFields(BaseModel):
    """A zip that was handed in."""

    filename: str
    size: int
    sha256: str


class ZipShown(BaseModel):
    """A zip as the source."""

    zip: ZipFields


class TaskShown(BaseModel):
    """An earlier task as the source."""

    task: str


SourceShown = GitShown | ZipShown | TaskShown


class CheckedGit(BaseModel):
    """A Git source that can be fetched."""

    url: str
    commit: str


class CheckedZip(BaseModel):
    """A zip that can be taken."""

    sha256: str
    size: int


class ChecksFound(BaseModel):
    """How a change of this source would be checked."""

    command: str | None
    """None: nobody says how, and nothing was found."""
    found_in: str | None = None
    """The file of the source that says it; None when the request or its environment does."""
    strategy: str
    looked: bool = True
    """Whether the source was looked through: what is large or slow to fetch is not."""


class Checked(BaseModel):
    """What `?check=true` found out."""

    ok: bool
    source: CheckedGit | CheckedZip | TaskShown
    checks: ChecksFound | None
    """None for an explanation, which is not checked."""


def shown_source(source: Source) -> SourceShown:
    """Return the public form of a task's source."""
    if isinstance(source, GitSource):
        return GitShown(git=GitFields(**source.model_dump(exclude={"kind"})))
    if isinstance(source, ZipSource):
        return ZipShown(zip=ZipFields(**source.model_dump(include=set(ZipFields.model_fields))))
    return TaskShown(task=source.task_id)
