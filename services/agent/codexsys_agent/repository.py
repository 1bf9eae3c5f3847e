"""Facts about the repository that spare a model its first steps."""

import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

_LISTED = 200
_DEEPEST = 6
_KINDS = 6
_SECONDS = 20
_BUILD_FILES = (
    "pyproject.toml",
    "setup.py",
    "tox.ini",
    "package.json",
    "go.mod",
    "Cargo.toml",
    "Makefile",
    "pom.xml",
    "build.gradle",
)


def repository_facts(code: Path, env: Mapping[str, str]) -> str:
    """Root, files, kinds of them, build files, state and last commits, as text."""
    names = _git(code, env, "ls-files").splitlines() or _walked(code)
    build = [name for name in _BUILD_FILES if (code / name).is_file()]
    parts = [f"root: {code}", _files(names), _kinds(names)]
    if build:
        parts.append(f"build files: {', '.join(build)}")
    changed = len(_git(code, env, "status", "--porcelain").splitlines())
    if changed:
        parts.append(f"git status: {changed} paths differ from the last commit already")
    commits = _git(code, env, "log", "--oneline", "-5").strip()
    if commits:
        parts.append(f"last commits:\n{commits}")
    return "\n".join(parts)


def _files(names: list[str]) -> str:
    """All files where they are few; otherwise the folders, as deep as there is room for."""
    if len(names) <= _LISTED:
        return f"files ({len(names)}):\n" + "\n".join(names)
    shown: list[str] = []
    for depth in range(1, _DEEPEST):
        folders = Counter(_upper(name, depth) for name in names)
        if len(folders) > _LISTED:
            break
        shown = [
            f"{folder} ({n} files)" if n > 1 else folder for folder, n in sorted(folders.items())
        ]
    more = shown or names[:_LISTED]
    return f"files ({len(names)}, by folder):\n" + "\n".join(more)


def _upper(name: str, depth: int) -> str:
    parts = name.split("/")
    return name if len(parts) <= depth else "/".join(parts[:depth]) + "/"


def _kinds(names: list[str]) -> str:
    endings = Counter(name.rpartition("/")[2].rpartition(".")[2] for name in names if "." in name)
    counted = ", ".join(f"{n} .{ending}" for ending, n in endings.most_common(_KINDS))
    return f"kinds: {counted}" if counted else "kinds: none"


def _git(code: Path, env: Mapping[str, str], *arguments: str) -> str:
    # An image may lack git, and the tree may not be a repository: then there are fewer facts.
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", *arguments],
            cwd=code,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _walked(code: Path) -> list[str]:
    names: list[str] = []
    for folder, folders, files in os.walk(code):
        folders[:] = sorted(set(folders) - {".git"})
        names += [(Path(folder) / name).relative_to(code).as_posix() for name in sorted(files)]
        if len(names) > _LISTED:
            break
    return names
