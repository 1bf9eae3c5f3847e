"""Facts about the repository that spare a model its first steps."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_LISTED = 200
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
    """Root, files, build files and last commits, as text."""
    names = _git(code, env, "ls-files").splitlines() or _walked(code)
    more = f", first {_LISTED} shown" if len(names) > _LISTED else ""
    build = [name for name in _BUILD_FILES if (code / name).is_file()]
    parts = [f"root: {code}", f"files ({len(names)}{more}):\n" + "\n".join(names[:_LISTED])]
    if build:
        parts.append(f"build files: {', '.join(build)}")
    commits = _git(code, env, "log", "--oneline", "-5").strip()
    if commits:
        parts.append(f"last commits:\n{commits}")
    return "\n".join(parts)


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
