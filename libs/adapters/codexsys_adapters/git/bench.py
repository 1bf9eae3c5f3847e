"""Applies hostile patches to a base in an index only, and reads trees back."""

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from codexsys_adapters.git import packing
from codexsys_adapters.git.command import Git, GitFailed, GitTooLarge, GitTooSlow, Limits
from codexsys_core.base_directory import BASE_REF
from codexsys_core.errors import TooLarge
from codexsys_core.patch import ChangedFile, Patch, PatchRefused

_GITLINK = "160000"
# The same names as git's own `verify_path` refuses; a second look, since it must never be wrong.
_RESERVED = re.compile(r"\.git(modules)?|git~[0-9]+", re.IGNORECASE)
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_DIFF = ("diff-tree", "-r", "--no-renames", "--full-index", "--no-ext-diff", "--no-textconv")


class GitPatchBench:
    """Satisfies `codexsys_core.patch.PatchBench`; concurrency-safe on the same base."""

    def __init__(self, *, limits: Limits | None = None, most_unpacked: int = 4 << 30) -> None:
        self._git = Git(limits=limits or Limits(seconds=120.0, output_bytes=128 << 20))
        self._most_unpacked = most_unpacked

    async def apply(self, base: Path, patch: bytes) -> Patch:
        """Apply to the base's tree; objects stay in `base`."""
        before = await self._line(base, "rev-parse", "--verify", f"{BASE_REF}^{{tree}}")
        if not patch.strip():
            return Patch(tree=before, diff=b"", files=[])
        after = await self._write(base, before, patch)
        return await self._compare(base, before, after)

    async def archive(self, base: Path, tree: str, into: Path, *, most_bytes: int) -> None:
        """Write the tree as a zip to `into`; links stay links, and nothing follows them."""
        # Git runs in another directory, so the path must be whole.
        out = f"--output={await asyncio.to_thread(into.absolute)}"
        try:
            await self._measure(base, tree, most_bytes)
            await self._git.run("archive", "--format=zip", out, tree, directory=base)
        except (GitTooLarge, GitTooSlow) as problem:
            raise TooLarge("The tree is larger than this platform hands out.") from problem

    async def read(self, base: Path, tree: str, path: str) -> bytes | None:
        """Return a regular file of a tree, None where there is none; `TooLarge` when it is."""
        if "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
            return None
        listing = await self._git.run(
            "ls-tree", "-z", "--full-tree", tree, "--", path, directory=base
        )
        for mode, blob, name in _entries(listing):
            if name == path and mode in {"100644", "100755"}:
                return await self._bounded("cat-file", "blob", blob, directory=base)
        return None

    async def paths(self, base: Path, tree: str) -> list[str]:
        """Return the paths of all files of a tree; `TooLarge` when these alone are."""
        listing = await self._bounded("ls-tree", "-r", "-z", "--full-tree", tree, directory=base)
        return [name for mode, _, name in _entries(listing) if mode != _GITLINK]

    async def pack(self, base: Path, into: Path) -> None:
        """Write the bare git directory as a deterministic tar.gz to `into`."""
        await asyncio.to_thread(packing.pack, base, into)

    async def unpack(self, archive: Path, into: Path) -> None:
        """Make `into` (must not exist) the bare git directory again."""
        await asyncio.to_thread(packing.unpack, archive, into, most=self._most_unpacked)

    async def _measure(self, base: Path, tree: str, most_bytes: int) -> None:
        """Refuse before anything is unpacked: a small patch can stand for very large files."""
        listing = await self._git.run("ls-tree", "-r", "-l", "-z", tree, directory=base)
        sizes = (row.split(b"\t")[0].split()[3] for row in listing.split(b"\0") if row)
        if sum(int(size) for size in sizes if size != b"-") > most_bytes:
            raise GitTooLarge(f"more than {most_bytes} bytes of files")

    async def _bounded(self, *arguments: str, directory: Path) -> bytes:
        try:
            return await self._git.run(*arguments, directory=directory)
        except (GitTooLarge, GitTooSlow) as problem:
            raise TooLarge("A file of the source is larger than this platform reads.") from problem

    async def _line(self, base: Path, *arguments: str) -> str:
        return (await self._git.run(*arguments, directory=base)).decode().strip()

    async def _write(self, base: Path, before: str, patch: bytes) -> str:
        """Return the tree that the patch makes, by way of an index of its own."""
        with _index() as environment:
            await self._git.run("read-tree", before, directory=base, environment=environment)
            try:
                await self._git.run(
                    "apply",
                    "--cached",
                    "--binary",
                    "--whitespace=nowarn",
                    "-",
                    directory=base,
                    stdin=patch,
                    environment=environment,
                )
                tree = await self._git.run("write-tree", directory=base, environment=environment)
            except GitFailed as problem:
                raise PatchRefused(_why(problem)) from problem
        return tree.decode().strip()

    async def _compare(self, base: Path, before: str, after: str) -> Patch:
        raw = await self._git.run(*_DIFF, "--raw", "-z", before, after, directory=base)
        files = [_checked(*row) for row in _rows(raw)]
        try:
            diff = await self._git.run(*_DIFF, "-p", "--binary", before, after, directory=base)
        except GitTooLarge as problem:
            raise PatchRefused("The change is larger than this platform takes.") from problem
        counts = await self._git.run(*_DIFF, "--numstat", "-z", before, after, directory=base)
        insertions, deletions = _counts(counts)
        return Patch(tree=after, diff=diff, files=files, insertions=insertions, deletions=deletions)


@contextlib.contextmanager
def _index() -> Iterator[dict[str, str]]:
    folder = tempfile.mkdtemp(prefix="codexsys-index-")
    try:
        yield {"GIT_INDEX_FILE": f"{folder}/index"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _why(problem: GitFailed) -> str:
    if isinstance(problem, GitTooLarge | GitTooSlow):
        return "The patch takes more time or space than it may."
    text = problem.text.lower()
    if "invalid path" in text:
        return "The patch writes a path that is never taken (outside the tree, or `.git`)."
    if "beyond a symbolic link" in text:
        return "The patch writes through a symbolic link."
    return "The patch does not apply to the base."


def _entries(listing: bytes) -> Iterator[tuple[str, str, str]]:
    for row in listing.split(b"\0"):
        if row:
            head, _, name = row.partition(b"\t")
            mode, _, blob = head.decode().split(" ")[:3]
            yield mode, blob, name.decode(errors="surrogateescape")


def _rows(raw: bytes) -> Iterator[tuple[str, str, str, str, bytes]]:
    """Read `--raw -z`: old mode, new mode, blob, status, path."""
    fields = raw.split(b"\0")
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        old, new, _, blob, status = head.decode().removeprefix(":").split(" ")
        yield old, new, blob, status, path


def _checked(old: str, new: str, blob: str, status: str, path: bytes) -> ChangedFile:
    try:
        name = path.decode()
    except UnicodeDecodeError as error:
        raise PatchRefused(f"The name {path!r} is not UTF-8.") from error
    if _GITLINK in (old, new):
        raise PatchRefused(f"The change touches the submodule {name!r}.")
    for part in name.split("/"):
        if part in ("", ".", "..") or _RESERVED.fullmatch(_IGNORABLE.sub("", part).rstrip(" .")):
            raise PatchRefused(f"The change touches {name!r}, which is never taken.")
    return ChangedFile(path=name, mode=new, blob=blob, status=status[0])


def _counts(numstat: bytes) -> tuple[int, int]:
    """Add up lines; a binary file counts none."""
    insertions = deletions = 0
    for row in numstat.split(b"\0"):
        added, _, rest = row.partition(b"\t")
        removed = rest.partition(b"\t")[0]
        if added.isdigit() and removed.isdigit():
            insertions += int(added)
            deletions += int(removed)
    return insertions, deletions
