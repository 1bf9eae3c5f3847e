"""Fetches a repository over smart HTTP into a base, through a mirror that is kept per tenant."""

import asyncio
import contextlib
import fcntl
import hashlib
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from codexsys_adapters.git.command import Git, GitFailed, Limits
from codexsys_adapters.git.kept import KeptBases
from codexsys_adapters.git.logins import Logins
from codexsys_adapters.git.refs import candidates, commit_of, missing, read_list
from codexsys_adapters.git.remote import meaning
from codexsys_adapters.outbound import Outbound, OutboundFailure, Target
from codexsys_core.base_directory import BASE_REF, lay_out
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Invalid
from codexsys_core.source import Base, GitLogin, GitSource, SourceFailure

# Harmless faults of old but honest histories; every other finding of fsck refuses the source.
_TOLERATED = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
    "gitignoreSymlink",
    "gitattributesSymlink",
)
_FETCHING = {
    "fetch.unpackLimit": "1",  # index-pack checks before it keeps anything
    "fetch.fsckObjects": "true",
    "transfer.bundleURI": "false",
    "transfer.credentialsInUrl": "die",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "http.proxy": "",
} | {f"fetch.fsck.{name}": "ignore" for name in _TOLERATED}


@dataclass(frozen=True)
class FetchLimits:
    """How large a repository may be."""

    depth: int = 50
    seconds: float = 600.0
    pack_bytes: int = 2 << 30
    tree_bytes: int = 4 << 30
    tree_files: int = 200_000


class GitFetcher:
    """Satisfies `codexsys_core.source.GitFetcher`; mirrors live under `<data_dir>/mirrors`."""

    def __init__(
        self,
        *,
        outbound: Outbound,
        data_dir: Path,
        limits: FetchLimits | None = None,
        logins: Sequence[GitLogin] = (),
    ) -> None:
        self._outbound = outbound
        self._logins = Logins(logins, outbound)
        self._mirrors = data_dir.absolute() / "mirrors"
        self._limits = limits or FetchLimits()
        self._git = Git(
            limits=Limits(
                seconds=self._limits.seconds,
                cpu_seconds=int(self._limits.seconds),
                file_bytes=self._limits.pack_bytes,
                output_bytes=400 * self._limits.tree_files,
            )
        )

    def vet(self, url: str) -> str:
        """Check form, scheme and literal address; return the canonical URL."""
        target = self._outbound.vet(url)
        if "?" in target.path:
            raise Invalid("A Git URL has no query (?).", code="url_refused")
        if re.search(r"%(?:[01][0-9a-f]|7f|5c)", target.path, re.IGNORECASE):
            raise Invalid("The Git URL holds an encoded control character.", code="url_refused")
        return target.url

    async def resolve(self, source: GitSource, *, tenant: str) -> str:  # noqa: ARG002 - the port's
        """Ask the remote for the ref's commit id."""
        return await self._ask(await self._target(source), source.ref)

    async def fetch(
        self, source: GitSource, commit: str | None, into: Path, *, tenant: str
    ) -> Base:
        """Make `into` a bare git directory with one ref; a failure leaves nothing behind."""
        if source.submodules:
            raise SourceFailure(
                EndReason.SOURCE_REFUSED, "Submodules are not fetched here; submit without them."
            )
        target = await self._target(source)
        # A mirror that has the commit still asks the remote: access may have been taken away.
        current = await self._ask(target, source.ref if commit is None else None, any_ref=commit)
        commit = commit or current
        try:
            async with self._mirror(tenant, target, fcntl.LOCK_SH) as mirror:
                base = await asyncio.to_thread(_kept(mirror).take, commit, into)
            if base is None:
                async with self._mirror(tenant, target, fcntl.LOCK_EX) as mirror:
                    base = await self._made(target, mirror, commit, into)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)
            raise
        return base

    async def _made(self, target: Target, mirror: Path, commit: str, into: Path) -> Base:
        """Make a base from the mirror, unless somebody did while we waited for it."""
        kept = _kept(mirror)
        base = await asyncio.to_thread(kept.take, commit, into)
        if base is None:
            await self._bring(target, commit, mirror)
            base = await self._take(mirror, commit, into)
            await asyncio.to_thread(kept.keep, base, into)
        return base

    async def _target(self, source: GitSource) -> Target:
        try:
            return await self._outbound.resolve(self.vet(source.url))
        except OutboundFailure as failure:
            raise SourceFailure(failure.reason, failure.detail) from failure
        except Invalid as error:
            denied = error.code == "address_denied"
            reason = EndReason.ADDRESS_DENIED if denied else EndReason.SOURCE_REFUSED
            raise SourceFailure(reason, error.message) from error

    async def _ask(self, target: Target, ref: str | None, any_ref: str | None = None) -> str:
        """Return the ref's commit; with `any_ref` an answer of the remote is enough."""
        names = candidates(None if commit_of(ref) else ref)
        found = await self._list(target, *names, "HEAD")
        wanted = any_ref or commit_of(ref)
        if wanted is not None and found:
            return wanted
        for name in names:
            if name in found:
                return found[name]
        if not found and not await self._list(target):
            raise SourceFailure(EndReason.REPOSITORY_EMPTY, "The repository has no commit.")
        if wanted is not None:
            return wanted
        raise missing(ref)

    async def _list(self, target: Target, *names: str) -> dict[str, str]:
        try:
            output = await self._git.run(
                "ls-remote",
                "--",
                target.url,
                *names,
                directory=None,
                configuration=self._remote(target),
                environment=self._logins.environment(target),
            )
        except GitFailed as problem:
            raise meaning(problem) from problem
        found = read_list(output)
        if any(len(commit) != 40 for commit in found.values()):
            raise SourceFailure(
                EndReason.SOURCE_REFUSED, "Repositories with SHA-256 ids are not supported."
            )
        return found

    def _remote(self, target: Target) -> dict[str, str]:
        """Return the configuration that lets git reach this target, and nothing else."""
        allowed = _FETCHING | {f"protocol.{target.scheme}.allow": "always"}
        allowed |= self._logins.configuration(target)
        if not target.literal:
            addresses = ",".join(f"[{a}]" if ":" in a else a for a in target.addresses)
            allowed["http.curloptResolve"] = f"{target.host}:{target.port}:{addresses}"
        return allowed

    @contextlib.asynccontextmanager
    async def _mirror(self, tenant: str, target: Target, how: int) -> AsyncIterator[Path]:
        """Hold the tenant's mirror of this URL: alone, or (LOCK_SH) with others who only read."""
        parts = (tenant, self._logins.mark(target), target.url)
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
        self._mirrors.mkdir(parents=True, exist_ok=True)
        with (self._mirrors / f"{key}.lock").open("w") as lock:
            await _locked(lock, how)
            mirror = self._mirrors / f"{key}.git"
            if how == fcntl.LOCK_EX and not mirror.exists():
                await asyncio.to_thread(lay_out, mirror)
            yield mirror

    async def _bring(self, target: Target, commit: str, mirror: Path) -> None:
        kept = f"refs/kept/{commit}"
        if (mirror / kept).exists():  # never packed: nothing but this makes references here
            return
        try:
            await self._git.run(
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                f"--depth={self._limits.depth}",
                "--",
                target.url,
                f"+{commit}:{kept}",
                directory=mirror,
                configuration=self._remote(target),
                environment=self._logins.environment(target),
                watch=mirror,
                watch_bytes=self._limits.pack_bytes,
            )
        except GitFailed as problem:
            failure = meaning(problem)
            if failure.reason != EndReason.REF_NOT_FOUND:
                await asyncio.to_thread(shutil.rmtree, mirror, ignore_errors=True)
            raise failure from problem
        except asyncio.CancelledError:
            await asyncio.to_thread(shutil.rmtree, mirror, ignore_errors=True)
            raise

    async def _take(self, mirror: Path, commit: str, into: Path) -> Base:
        """Copy one commit and its history from the mirror, and look at what it holds."""
        await asyncio.to_thread(lay_out, into)
        try:
            await self._git.run(
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                f"--depth={self._limits.depth}",
                "--",
                f"file://{mirror}",
                f"+refs/kept/{commit}:{BASE_REF}",
                directory=into,
                configuration={"protocol.file.allow": "always", "fetch.unpackLimit": "1"},
                environment={"GIT_LITERAL_PATHSPECS": "0"},
            )
        except GitFailed as problem:
            raise meaning(problem) from problem
        tree = await self._tree(into)
        await self._measure(into, tree)
        return Base(commit=commit, tree=tree)

    async def _tree(self, base: Path) -> str:
        try:
            found = await self._git.run(
                "rev-parse", "--verify", f"{BASE_REF}^{{tree}}", directory=base
            )
        except GitFailed as problem:
            raise SourceFailure(EndReason.REF_NOT_FOUND, "The ref is not a commit.") from problem
        return found.decode().strip()

    async def _measure(self, base: Path, tree: str) -> None:
        try:
            listing = await self._git.run("ls-tree", "-r", "-l", "-z", tree, directory=base)
        except GitFailed as problem:
            raise meaning(problem) from problem
        sizes = [row.split(b"\t")[0].split()[3] for row in listing.split(b"\0") if row]
        if len(sizes) > self._limits.tree_files:
            raise SourceFailure(
                EndReason.SOURCE_TOO_LARGE,
                f"The commit has {len(sizes)} files; at most {self._limits.tree_files} are taken.",
            )
        if sum(int(size) for size in sizes if size != b"-") > self._limits.tree_bytes:
            raise SourceFailure(
                EndReason.SOURCE_TOO_LARGE,
                f"The files of the commit have more than {self._limits.tree_bytes} bytes.",
            )


def _kept(mirror: Path) -> KeptBases:
    return KeptBases(mirror.with_suffix(".bases"))


async def _locked(lock: IO[str], how: int) -> None:
    """Wait for the lock without holding up the loop; the kernel frees it when we die."""
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, how | fcntl.LOCK_NB)
            return
        await asyncio.sleep(0.05)
