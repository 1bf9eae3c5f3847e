"""Says whether this host can make local sandboxes, by making parts of one, and what to do where not."""

import asyncio
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from codexsys_adapters.local import limits

_SECONDS = 20.0
_CAGE = (
    *("/usr/bin/bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/"),
    *("--disable-userns", "--proc", "/proc", "--dev", "/dev", "--die-with-parent", "--"),
)
_USERNS_HINT = (
    "allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1, on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0; in a container, run it with "
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined; or use CODEXSYS_SANDBOX=docker"
)


@dataclass(frozen=True)
class Finding:
    """One part of the host: whether it works, and what to do where it does not."""

    name: str
    works: bool
    needed: bool
    """Without it there are no sandboxes; otherwise something is missing from them."""
    detail: str = ""
    hint: str = ""


async def probe() -> list[Finding]:
    """Try each part for real."""
    tried = (_bubblewrap, _user_namespaces, _slirp, _rules, _groups)
    return [await asyncio.to_thread(part) for part in tried]


def _bubblewrap() -> Finding:
    detail = _failure(["/usr/bin/bwrap", "--version"])
    return Finding("bubblewrap", not detail, True, detail, "apt-get install bubblewrap")


def _user_namespaces() -> Finding:
    detail = _failure([*_dropped(), *_CAGE, "/bin/true"])
    return Finding("user namespaces", not detail, True, detail, _USERNS_HINT)


def _slirp() -> Finding:
    detail = _failure(["/usr/bin/slirp4netns", "--version"])
    if not detail and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        detail = "/dev/net/tun cannot be opened"
    hint = "apt-get install slirp4netns; give access to /dev/net/tun (modprobe tun)"
    return Finding("slirp4netns (online setup)", not detail, False, detail, hint)


def _rules() -> Finding:
    """Load a table in a network namespace of its own."""
    enter = [
        "/usr/bin/unshare",
        "--net",
        *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]),
    ]
    table = "table inet t {\nchain c { type filter hook output priority 0; policy drop; }\n}\n"
    detail = _failure([*enter, "/usr/sbin/nft", "-f", "-"], table)
    hint = "apt-get install nftables; the kernel needs nf_tables (modprobe nf_tables)"
    return Finding("nftables (online setup)", not detail, False, detail, hint)


def _groups() -> Finding:
    group = limits.make_group(f"probe-{secrets.token_hex(4)}", memory_mb=64, pids=16, cpus=1)
    if group:
        group.remove()
    detail = (
        "" if group else "limits_unenforced: no control group for memory, pids and cpu can be made"
    )
    hint = "run as root, or under systemd with Delegate=yes; one tenant only until then"
    return Finding("control groups", group is not None, False, detail, hint)


def _dropped() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["/usr/bin/setpriv", "--reuid", "100000", "--regid", "100000", "--clear-groups"]


def _failure(argv: list[str], text: str = "") -> str:
    """Return why a program failed, nothing when it did not."""
    if not Path(argv[0]).exists():
        return f"{argv[0]} is not there"
    try:
        ran = subprocess.run(
            argv, env={}, input=text.encode(), capture_output=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (
        ""
        if ran.returncode == 0
        else ran.stderr.decode(errors="replace").strip()[-300:] or "failed"
    )
