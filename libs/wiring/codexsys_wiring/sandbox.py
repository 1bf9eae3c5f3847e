"""Which sandbox this host uses, and the proof that it keeps its promise."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import structlog

from codexsys_core.errors import PlatformError, SandboxError
from codexsys_core.sandbox import SandboxBackend
from codexsys_wiring.backends import open_backend
from codexsys_wiring.self_test import Trial, self_test
from codexsys_wiring.settings import ConfigurationError, Settings

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
ENV = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
_DOCKER_SECONDS = 5.0
_NAMESPACES = """\
This machine does not let programs make user namespaces, which the local sandbox is made of ({said}).
  On Ubuntu 23.10 or later: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
  On an older Debian:       sudo sysctl -w kernel.unprivileged_userns_clone=1
  In a Docker container:    docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined
                            (with AppArmor: and --security-opt apparmor=unconfined), or --privileged.
  In a chroot:              it forbids them; use a container or a virtual machine."""


class Unfit(SandboxError):
    """No sandbox of this host can be trusted, so none is made."""

    default_code = "sandbox_unfit"


def with_sandbox(settings: Settings) -> Settings:
    """Return settings with a sandbox that can be had here: a named one as it is, else local, else docker."""
    if "sandbox" in settings.model_fields_set or not sandbox_advice(settings):
        return settings
    if not docker_answers(settings.docker_host):
        return settings
    structlog.get_logger().warning("local sandboxes cannot be had here; docker is used")
    return settings.model_copy(update={"sandbox": "docker"})


async def proven_backend(settings: Settings) -> SandboxBackend:
    """Return the backend once it has stood the self-test; raises `Unfit` with what to do.

    The dummy isolates nothing, promises nothing and is not tried; neither is no sandbox at all.
    """
    advice = sandbox_advice(settings)
    if advice:
        raise Unfit(f"No sandbox can be made here. {advice}")
    backend = open_backend(settings)
    if settings.sandbox in ("dummy", "none"):
        return backend
    found = await tried(settings)
    for trial in found:
        if trial.state == "lacks":
            structlog.get_logger().warning("sandbox", about=trial.name, said=trial.detail)
    broken = [trial for trial in found if trial.state == "broken"]
    if broken:
        raise Unfit(refusal(settings.sandbox, broken))
    return backend


async def tried(settings: Settings) -> list[Trial]:
    """Run the self-test; raises `ConfigurationError`.

    Its doors lead to no gateway: one that runs would end a sandbox that is in no row.
    """
    nowhere = {
        "gateway_url": "http://127.0.0.1:9",
        "gateway_sockets": settings.data_dir / "trial-gateways",
    }
    return await self_test(open_backend(settings.model_copy(update=nowhere)))


def unenforced(settings: Settings) -> tuple[str, ...]:
    """Return the limits that this host's sandboxes do not hold; none where there is no sandbox."""
    try:
        return open_backend(with_sandbox(settings)).unenforced
    except (PlatformError, ConfigurationError, OSError):
        return ()


def refusal(kind: str, broken: list[Trial]) -> str:
    """Return the sentence that says why the backend is not used, and what to do."""
    said = " ".join(f"{trial.name}: {trial.detail.rstrip('.')}." for trial in broken)
    return f"The sandbox {kind!r} does not keep its promise here, so no task is run. {said} {what_to_do(kind)}"


def what_to_do(kind: str) -> str:
    """Say how to go on after a trial has failed."""
    other = "docker" if kind == "local" else "local"
    return (
        f"Mend what it names and try again with codexsys doctor, or set CODEXSYS_SANDBOX={other}."
    )


def sandbox_advice(settings: Settings) -> str:
    """Return why no local sandbox can be made here and how to go on; empty when one can."""
    if settings.sandbox == "none":
        from codexsys_adapters.bare.backend import problem

        said = problem()
        return f"--sandbox none is not possible here: {said}." if said else ""
    if settings.sandbox != "local":
        return ""
    if sys.platform != "linux":
        return (
            f"The local sandbox is made of Linux namespaces; this is {sys.platform}. Use a Linux virtual machine "
            "(on macOS for example: lima, multipass, or a Docker container with --privileged)."
        )
    missing = [name for name in ("bwrap", "slirp4netns", "nft", "git") if not found(name)]
    if missing:
        packages = " ".join("bubblewrap" if name == "bwrap" else name for name in missing)
        packages = packages.replace("nft", "nftables")
        return f"Missing: {', '.join(missing)}. Install: apt-get install {packages} (or run: make setup)"
    said = _namespace_problem()
    return _NAMESPACES.format(said=said) if said else ""


def found(name: str) -> str | None:
    """Return where a program is, on the path that sandboxes are made with."""
    return shutil.which(name, path=PATH)


def output(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a program with nothing of ours and return what it said."""
    return subprocess.run(
        command,
        env=ENV,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


def docker_answers(host: str) -> bool:
    """Say whether a Docker engine answers at an address such as `unix:///var/run/docker.sock`."""
    url = urlsplit(host)
    connection = http.client.HTTPConnection(
        url.hostname or "docker", url.port, timeout=_DOCKER_SECONDS
    )
    try:
        if url.scheme == "unix":
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(_DOCKER_SECONDS)
            connection.sock.connect(url.path)
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _namespace_problem() -> str:
    """Make the namespaces that a sandbox consists of, as a user without any privilege."""
    drop = []
    if os.geteuid() == 0:
        drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        drop += ["--inh-caps=-all", "--no-new-privs"]
    command = [*drop, "bwrap", "--ro-bind", "/", "/", "--unshare-user", "--unshare-pid"]
    command += ["--unshare-net", "--proc", "/proc", "true"]
    try:
        done = output(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")
