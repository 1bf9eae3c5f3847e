"""Try every part by using it, and say what to do where one does not work."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from codexsys_core.artifact import CODE_BUCKET
from codexsys_core.errors import PlatformError
from codexsys_wiring.platform import Platform, open_models, open_platform
from codexsys_wiring.settings import ConfigurationError, Settings

CHECK_SECONDS = 60.0
OLDEST_GIT = (2, 38)
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_ENV = {"PATH": _PATH, "LC_ALL": "C.UTF-8"}
_NAMESPACES = """\
This machine does not let programs make user namespaces, which the local sandbox is made of ({said}).
  On Ubuntu 23.10 or later: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
  On an older Debian:       sudo sysctl -w kernel.unprivileged_userns_clone=1
  In a Docker container:    start it with --privileged, or run this on the host itself.
  In a chroot:              it forbids them; use a container or a virtual machine."""


@dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do when it is not ok."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


Check = Callable[[], Awaitable[str]]


async def examine(settings: Settings) -> list[Finding]:
    """Try every part."""
    findings = [_git(), _sandbox(settings)]
    async with AsyncExitStack() as stack:
        try:
            platform = await stack.enter_async_context(open_platform(settings))
        except (PlatformError, ConfigurationError, OSError) as error:
            advice = "Correct the setting it names, or start the server, then run this again."
            return [*findings, Finding("platform", False, str(error), advice)]
        for name, check, advice in _checks(platform):
            findings.append(await _try(name, check, advice))
    return findings


def sandbox_advice(settings: Settings) -> str:
    """Return why no sandbox can be made here and how to go on; empty when one can."""
    if settings.sandbox != "local":
        return ""
    if sys.platform != "linux":
        return (
            f"The local sandbox is made of Linux namespaces; this is {sys.platform}. Use a Linux virtual machine "
            "(on macOS for example: lima, multipass, or a Docker container with --privileged)."
        )
    missing = [name for name in ("bwrap", "slirp4netns", "nft", "git") if not _found(name)]
    if missing:
        packages = " ".join("bubblewrap" if name == "bwrap" else name for name in missing)
        packages = packages.replace("nft", "nftables")
        return f"Missing: {', '.join(missing)}. Install: apt-get install {packages} (or run: make setup)"
    said = _namespace_problem()
    return _NAMESPACES.format(said=said) if said else ""


def _namespace_problem() -> str:
    """Make the namespaces that a sandbox consists of, as a user without any privilege."""
    drop = []
    if os.geteuid() == 0:
        drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        drop += ["--inh-caps=-all", "--no-new-privs"]
    command = [*drop, "bwrap", "--ro-bind", "/", "/", "--unshare-user", "--unshare-pid"]
    command += ["--unshare-net", "--proc", "/proc", "true"]
    try:
        done = _output(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")


def _output(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=_ENV,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


def _found(name: str) -> str | None:
    return shutil.which(name, path=_PATH)


def _sandbox(settings: Settings) -> Finding:
    advice = sandbox_advice(settings)
    if advice:
        return Finding("sandbox", False, "no sandbox can be made", advice)
    detail = (
        "isolates nothing, for tests" if settings.sandbox == "dummy" else "namespaces can be made"
    )
    return Finding("sandbox", True, f"{settings.sandbox}: {detail}")


def _git() -> Finding:
    wanted = ".".join(map(str, OLDEST_GIT))
    advice = f"Install git {wanted} or later."
    if not _found("git"):
        return Finding("git", False, "not found", advice)
    said = _output(["git", "--version"]).stdout.strip()
    numbers = tuple(int(part) for part in said.rpartition(" ")[2].split(".")[:2] if part.isdigit())
    return Finding("git", numbers >= OLDEST_GIT, said, "" if numbers >= OLDEST_GIT else advice)


def _checks(platform: Platform) -> list[tuple[str, Check, str]]:
    settings = platform.settings

    async def database() -> str:
        await platform.database.ready()
        await platform.keys.tenant_named("default")
        return settings.database.partition(":")[0]

    async def queue() -> str:
        await platform.queue.ready()
        return settings.queue_url

    async def redis() -> str:
        await platform.hints.ready()
        async with platform.hints.listen("doctor") as heard:
            await platform.hints.tell("doctor", "hello")
            await anext(aiter(heard))
        return settings.redis_url.rpartition("@")[2]

    async def store() -> str:
        await _put_and_get(platform)
        return settings.store.partition("?")[0]

    async def model() -> str:
        return await _complete(settings)

    return [
        ("database", database, "Check CODEXSYS_DATABASE_URL, and run: codexsys db upgrade"),
        ("queue", queue, "Check CODEXSYS_QUEUE_URL and that the brokers can be reached from here."),
        ("redis", redis, "Check CODEXSYS_REDIS_URL and that the server can be reached from here."),
        ("store", store, "Check CODEXSYS_STORE_URL, _STORE_KEY and _STORE_SECRET."),
        ("model", model, "Check CODEXSYS_MODEL_URL (up to and with /v1), _MODEL and _MODEL_KEY."),
    ]


async def _try(name: str, check: Check, advice: str) -> Finding:
    try:
        detail = await asyncio.wait_for(check(), CHECK_SECONDS)
    except TimeoutError:
        return Finding(name, False, f"no answer within {CHECK_SECONDS:.0f} seconds", advice)
    except Exception as error:
        return Finding(name, False, str(error) or type(error).__name__, advice)
    return Finding(name, True, detail)


async def _put_and_get(platform: Platform) -> None:
    name = f"{CODE_BUCKET}/doctor/{platform.ids.new('doc')}"
    with TemporaryDirectory(prefix="codexsys-doctor-") as folder:
        path = Path(folder) / "object"
        path.write_bytes(b"codexsys")
        await platform.objects.put(name, path, content_type="text/plain")
    try:
        if await platform.objects.get(name) != b"codexsys":
            raise PlatformError("the object store gave back something else than was put there")
    finally:
        await platform.objects.delete(name)


async def _complete(settings: Settings) -> str:
    request = {
        "model": settings.model,
        "messages": [{"role": "user", "content": "Say ok."}],
        "max_tokens": 16,
    }
    answer = await open_models(settings).complete(request)
    where = settings.model_url or "shipped, scripted: not a real model"
    return f"{answer.get('model', settings.model)} ({where})"
