"""How programs are started in containers, from the bundle that is there at /opt/codexsys."""

import sys
from collections.abc import Mapping

AT = "/opt/codexsys"
LOADER = (f"{AT}/loader", "--inhibit-cache", "--library-path", f"{AT}/lib")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = (*LOADER, f"{AT}/python/bin/python{VERSION}", "-I", "-S")
AGENT = f"{AT}/agent"
PLATFORM = f"{AT}/platform"
TOOLS = f"{AT}/tools"
"""Stands last on the path of what runs inside: an image's own git and bash come first."""
WHEELS = f"{AT}/wheels"
FOR_LOADERS = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES")
"""Variables of an image that are meant for its own C library, and would break another."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OWN = "codexsys-python"
_RUN_PLATFORM = f"import sys,runpy; sys.path.insert(0,{PLATFORM!r}); sys.argv=sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
_RUN_AGENT = (
    f"import sys,runpy; sys.path.insert(0,{AGENT!r}); del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def run_ours(module: str, *arguments: str) -> list[str]:
    """Return the command of one of our programs, inside."""
    return [*PYTHON, "-c", _RUN_PLATFORM, f"codexsys_adapters.{module}", *arguments]


def command(argv: list[str]) -> list[str]:
    """Return a phase's command: our own interpreter has a name, which is not a path inside."""
    if argv[0] != _OWN:
        return argv
    if argv[1:2] == ["-m"]:
        return [*PYTHON, "-c", _RUN_AGENT, *argv[2:]]
    return [*PYTHON, *argv[1:]]


def environment(
    program: str, image: Mapping[str, str], own: Mapping[str, str], *, wheels: bool
) -> dict[str, str]:
    """Return a phase's variables; without what an image tells its loader, where ours starts it."""
    found = {
        "LANG": "C.UTF-8",
        **image,
        "HOME": "/app/home",
        "PATH": f"/app/home/.local/bin:{image.get('PATH', PATH)}:{TOOLS}",
        "TMPDIR": "/tmp",  # noqa: S108 - inside
        "USER": "sandbox",
        "CI": "1",
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"PIP_FIND_LINKS": WHEELS} if wheels else {}),
        **own,
    }
    ours = program == _OWN
    return {name: value for name, value in found.items() if not (ours and name in FOR_LOADERS)}
