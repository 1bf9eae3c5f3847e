"""A git directory of our own over the base's objects; the workspace's .git is never used."""

import hashlib
import os
import subprocess
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

# Stands above every .gitattributes of the tree, so that no file can hide in a diff.
_ATTRIBUTES = (
    "* !diff -text !eol -ident -filter -working-tree-encoding -merge -export-ignore -export-subst\n"
)
_SECONDS = 300
_DIFF = ("--binary", "--no-renames", "--full-index", "--ignore-submodules=all", "--no-ext-diff")


class Entry(NamedTuple):
    """What git knows of one path."""

    mode: str
    blob: str


class GitFailed(Exception):
    """A git command did not work; the text is its last line."""


class PrivateGit:
    """Index, objects and attributes in a scratch folder; the base is only read."""

    def __init__(self, *, base: Path, scratch: Path, base_ref: str = "refs/heads/base") -> None:
        self.folder = scratch / "private.git"
        self._env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(scratch),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_DIR": str(base),
        }
        self.base_tree = self.run("rev-parse", "--verify", f"{base_ref}^{{tree}}").decode().strip()
        self._hash = "sha256" if len(self.base_tree) == 64 else "sha1"
        self._lay_out(base)
        self._env["GIT_DIR"] = str(self.folder)
        self._env["GIT_INDEX_FILE"] = str(self.folder / "private-index")

    def _lay_out(self, base: Path) -> None:
        for name in ("objects/info", "refs/heads", "info", "no-hooks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        alternate = (base / "objects").resolve()
        (self.folder / "objects/info/alternates").write_text(f"{alternate}\n", encoding="utf-8")
        (self.folder / "info/attributes").write_text(_ATTRIBUTES, encoding="ascii")
        newer = self._hash != "sha1"
        config = f"[core]\n\trepositoryformatversion = {int(newer)}\n\tfileMode = true\n"
        config += f"\tbare = true\n\tfsmonitor = false\n\thooksPath = {os.devnull}\n"
        config += f"[extensions]\n\tobjectFormat = {self._hash}\n" if newer else ""
        (self.folder / "config").write_text(config, encoding="utf-8")

    def run(
        self,
        *arguments: str,
        given: bytes | None = None,
        work_tree: Path | None = None,
        accepted: Sequence[int] = (0,),
    ) -> bytes:
        """Run one git command with nothing inherited."""
        env = dict(self._env) | ({"GIT_WORK_TREE": str(work_tree)} if work_tree else {})
        try:
            done = subprocess.run(
                ["git", *arguments],
                env=env,
                cwd=work_tree,
                input=given if given is not None else b"",
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitFailed(f"git {arguments[0]}: {error}") from error
        if done.returncode not in accepted:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
            raise GitFailed(f"git {arguments[0]}: {lines[-1]}")
        return done.stdout

    def base_entries(self) -> dict[str, Entry]:
        """Every path of the base."""
        entries = {}
        for line in self.run("ls-tree", "-r", "-z", self.base_tree).split(b"\0")[:-1]:
            about, _, path = line.partition(b"\t")
            mode, _, blob = about.decode("ascii").split(" ")
            entries[os.fsdecode(path)] = Entry(mode, blob)
        return entries

    def blob_size(self, blob: str) -> int:
        """The bytes of an object of the base."""
        return int(self.run("cat-file", "-s", blob))

    def blob_id(self, size: int, chunks: Iterable[bytes]) -> str:
        """The name that git gives this content."""
        digest = hashlib.new(self._hash, b"blob %d\0" % size, usedforsecurity=False)
        for chunk in chunks:
            digest.update(chunk)
        return digest.hexdigest()

    def store_blob(self, blob: str, content: bytes) -> None:
        """Keep one object, as git would."""
        file = self.folder / "objects" / blob[:2] / blob[2:]
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(zlib.compress(b"blob %d\0" % len(content) + content, 1))

    def write_tree(self, entries: dict[str, Entry]) -> str:
        """The tree of exactly these entries, made in the private index alone."""
        lines = [
            f"{entry.mode} {entry.blob}\t".encode("ascii") + os.fsencode(path) + b"\0"
            for path, entry in sorted(entries.items())
        ]
        self.run("read-tree", "--empty")
        self.run("update-index", "-z", "--index-info", given=b"".join(lines))
        return self.run("write-tree").decode("ascii").strip()

    def patch(self, tree: str) -> bytes:
        """From the base to a tree; it applies with `git apply`."""
        return self.run("diff-tree", "-r", "-p", *_DIFF, "--no-textconv", self.base_tree, tree)

    def ignored(self, work_tree: Path, paths: Iterable[str]) -> set[str]:
        """Which of the paths the ignore files in a work tree leave out."""
        # A leading ./ keeps a name like `:x` from being read as pathspec magic.
        given = b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths)
        if not given:
            return set()
        arguments = ("check-ignore", "--no-index", "-z", "--stdin")
        answer = self.run(*arguments, given=given, work_tree=work_tree, accepted=(0, 1))
        return {os.fsdecode(path[2:]) for path in answer.split(b"\0")[:-1]}
