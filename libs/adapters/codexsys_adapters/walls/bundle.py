"""The read-only bundle that makes any image usable: an interpreter, git, bash, nft, and our programs.

Everything dynamic in it is started by its own loader with its own libraries, so that the image may
hold another C library or none. Made once per version of what goes in, from this host's files.
"""

import compileall
import hashlib
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path

from codexsys_adapters.walls.program import AT, FOR_LOADERS, LOADER, VERSION
from codexsys_core.errors import SandboxError

_PROGRAMS = {"git": "/usr/bin/git", "bash": "/bin/bash", "nft": "/usr/sbin/nft"}
_ON_PATH = ("git", "bash")
_PACKAGE = Path(__file__).parents[1]
_OURS = (
    "__init__.py", "walls", "docker/__init__.py", "docker/inside", "kubernetes/__init__.py",
    "kubernetes/inside",
)  # fmt: skip
_NEVER_NEEDED = (
    "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages",
    "dist-packages", "config-*", "pydoc_data", "*.a", "_test*.so", "xxlimited*.so", "_tkinter*.so",
    "*.opt-?.pyc",
)  # fmt: skip
_SECONDS = 60.0
_PT_INTERP = 3


def made_in(root: Path, agent_code: Path) -> Path:
    """Return the bundle's folder, made if it is not there; another's making is no obstacle."""
    place = root / _version(agent_code)
    if not place.is_dir():
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=root))
        try:
            _fill(draft, agent_code)
            draft.chmod(0o755)
            draft.rename(place)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            if not place.is_dir():
                raise SandboxError(f"the bundle for containers cannot be made: {error}") from error
    return place


def _version(agent_code: Path) -> str:
    digest = hashlib.sha256(f"{sys.version} {_interpreter()}".encode())
    for program in _PROGRAMS.values():
        found = Path(program).stat() if Path(program).exists() else None
        digest.update(f"{program} {found.st_mtime_ns if found else 0}\n".encode())
    for source in (agent_code / "codexsys_agent", *(_PACKAGE / name for name in _OURS)):
        for path in sorted([source] if source.is_file() else source.rglob("*.py")):
            digest.update(str(path.relative_to(source.parent)).encode() + path.read_bytes())
    return digest.hexdigest()[:20]


def _interpreter() -> Path:
    return Path(sys.base_prefix) / "bin" / f"python{VERSION}"


def _fill(draft: Path, agent_code: Path) -> None:
    for name in ("lib", "libexec", "tools", "python/bin", "wheels"):
        (draft / name).mkdir(parents=True)
    shutil.copytree(agent_code / "codexsys_agent", draft / "agent/codexsys_agent", ignore=_cache)
    for name in _OURS:
        source, target = _PACKAGE / name, draft / "platform/codexsys_adapters" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_cache)
        else:
            shutil.copyfile(source, target)
    interpreter = draft / "python/bin" / f"python{VERSION}"
    shutil.copyfile(_interpreter(), interpreter)
    library = draft / "python/lib" / f"python{VERSION}"
    shutil.copytree(
        sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*_NEVER_NEEDED)
    )
    programs = [draft / "libexec" / name for name in _PROGRAMS]
    for program in programs:
        shutil.copyfile(_PROGRAMS[program.name], program)
    loader = Path(_loader_of(_interpreter()))
    shutil.copyfile(loader, draft / "loader")
    _copy_libraries(draft / "lib", loader, [_interpreter(), *programs, *library.rglob("*.so")])
    for name in _ON_PATH:
        _write_wrapper(draft / "tools" / name)
    for path in (draft / "loader", interpreter, *programs):
        path.chmod(0o755)
    compileall.compile_dir(str(draft), quiet=2, force=False, workers=1)


_cache = shutil.ignore_patterns("__pycache__")


def _write_wrapper(path: Path) -> None:
    command = " ".join([*LOADER, f"{AT}/libexec/{path.name}"])
    path.write_text(f'#!/bin/sh\nunset {" ".join(FOR_LOADERS)}\nexec {command} "$@"\n')
    path.chmod(0o755)


def _copy_libraries(target: Path, loader: Path, files: Iterable[Path]) -> None:
    """Copy every library that the files need, as the loader itself finds them."""
    found: dict[str, Path] = {}
    for file in files:
        listed = subprocess.run(
            [str(loader), "--list", str(file)],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        for line in listed.stdout.splitlines():
            name, arrow, place = line.strip().partition(" => ")
            if arrow and place.startswith("/"):
                found.setdefault(name, Path(place.split(" (")[0]))
    for name, path in found.items():
        if path.resolve() != loader.resolve():
            shutil.copyfile(path, target / Path(name).name)


def _loader_of(program: Path) -> str:
    """Return the program loader that an ELF file asks for."""
    data = program.read_bytes()
    if data[:5] != b"\x7fELF\x02":
        raise OSError(f"{program} is not a 64-bit ELF program")
    start, size, count = (
        *struct.unpack_from("<Q", data, 32),
        *struct.unpack_from("<HH", data, 54),
    )[:3]
    for number in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", data, start + number * size)
        if kind == _PT_INTERP:
            return data[offset : offset + length].rstrip(b"\0").decode()
    raise OSError(f"{program} is not a dynamic program")
