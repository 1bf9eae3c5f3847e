"""What bubblewrap is told for one phase: pure translation, from a plan to arguments."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codexsys_adapters.disks.image import FOLDERS
from codexsys_adapters.local.etc import ONLINE, UID

PATH = "/app/home/.local/bin:/usr/local/bin:/usr/bin:/bin"
_STAGE = "/tmp"  # noqa: S108 - where launch.py binds things, in a mount namespace of its own
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"  # with what the operator added
_AGENT = "/opt/codexsys/agent"
_RUN_MODULE = (
    f"import sys,runpy; sys.path.insert(0,{_AGENT!r}); del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True)
class Cage:
    """Everything that one start of bwrap needs, but for descriptors."""

    arguments: list[str]
    """For --args: nothing of it is on a command line."""
    command: list[str]
    stage: dict[str, str]
    """Name → folder that launch.py binds before root is dropped; empty for an ordinary user."""


def build(setup: dict[str, Any], phase: dict[str, Any], folder: Path) -> Cage:
    """Return the cage of a phase."""
    sources = {
        **{name: str(folder / "files" / name) for name in FOLDERS},
        "base": str(folder / "base.git"),
        "etc": setup["etc"],
        "input": str(folder / "phases" / f"{phase['name']}.in"),
        "agent": str(Path(setup["agent"]) / "codexsys_agent"),
    }
    own_python = not setup["python"].startswith("/usr")
    if own_python:
        sources["python"] = setup["python"]
    if setup["wheels"]:
        sources["wheels"] = setup["wheels"]
    at = {name: f"{_STAGE}/{name}" for name in sources} if setup["root"] else sources
    arguments = [
        *_namespaces(),
        *_system(),
        *_etc(at["etc"], online=phase["network"] == "public"),
        *_workspace(at, phase["workspace"]),
        *("--ro-bind", at["agent"], f"{_AGENT}/codexsys_agent"),
        *(("--ro-bind", at["wheels"], "/opt/codexsys/wheels") if setup["wheels"] else ()),
        *(("--ro-bind", at["python"], setup["python"]) if own_python else ()),
        *_scratch(setup["limits"]["memory_mb"]),
        *("--remount-ro", "/", "--remount-ro", "/dev", "--chdir", "/app/code"),
        *_environment(phase["env"], wheels=bool(setup["wheels"])),
    ]
    return Cage(
        arguments, _command(phase["argv"], setup["python"]), sources if setup["root"] else {}
    )


def _namespaces() -> list[str]:
    return [
        *("--unshare-user", "--disable-userns", "--uid", str(UID), "--gid", str(UID)),
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup-try", "--hostname", "sandbox", "--new-session"),
        *("--die-with-parent", "--cap-drop", "ALL"),
    ]


def _system() -> list[str]:
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            arguments += ["--ro-bind", name, name]
    return [*arguments, "--proc", "/proc", *_covers(), "--dev", "/dev"]


def _covers() -> list[str]:
    """Make read-only what the owner of an ipc namespace, or anybody, could write in /proc."""
    arguments = ["--ro-bind", "/proc/sys", "/proc/sys"]
    return [*arguments, "--ro-bind-try", "/proc/pressure", "/proc/pressure"]


def _etc(ours: str, *, online: bool) -> list[str]:
    arguments = ["--ro-bind", ours, "/etc"]
    resolver = ("--ro-bind", f"{ours}/{ONLINE}", "/etc/resolv.conf")
    return [*arguments, *(resolver if online else ())]


def _workspace(at: dict[str, str], access: str) -> list[str]:
    code = "--bind" if access == "write" else "--ro-bind"
    rest = "--ro-bind" if access == "sealed" else "--bind"
    return [
        *(code, at["code"], "/app/code", rest, at["output"], "/app/output"),
        *(rest, at["home"], "/app/home"),
        *("--ro-bind", at["base"], "/app/base.git", "--ro-bind", at["input"], "/app/input"),
    ]


def _scratch(memory_mb: int) -> list[str]:
    size = str(memory_mb * 1024 * 1024 // 2)  # it is charged to the memory limit as well
    arguments: list[str] = []
    for place in ("/tmp", "/dev/shm"):  # noqa: S108 - inside
        arguments += ["--perms", "1777", "--size", size, "--tmpfs", place]
    return arguments


def _environment(own: dict[str, str], *, wheels: bool) -> list[str]:
    values = {
        "HOME": "/app/home",
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108 - inside
        "USER": "sandbox",
        "CI": "1",
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"PIP_CERT": _AUTHORITIES} if Path(_AUTHORITIES).exists() else {}),
        **({"PIP_FIND_LINKS": "/opt/codexsys/wheels"} if wheels else {}),
        **own,
    }
    arguments: list[str] = []
    for name, value in values.items():
        arguments += ["--setenv", name, value]
    return arguments


def _command(argv: list[str], python: str) -> list[str]:
    if argv[0] != "codexsys-python":
        return argv
    interpreter = [interpreter_in(python), "-I", "-S"]
    if argv[1:2] == ["-m"]:
        return [*interpreter, "-c", _RUN_MODULE, *argv[2:]]
    return [*interpreter, *argv[1:]]


def interpreter_in(prefix: str) -> str:
    """Return the interpreter's path, the same inside and outside."""
    return f"{prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
