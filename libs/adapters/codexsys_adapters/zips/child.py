"""The child that reads a zip: no network, limits, then `vet FILE`, which may still grow, or `unpack FILE INTO GIT`."""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from codexsys_adapters.zips.ahead import Arriving, look_ahead
from codexsys_adapters.zips.reader import ZipFile, ZipTree
from codexsys_adapters.zips.rules import ZipLimits, ZipRefused
from codexsys_core.base_directory import BASE_REF, lay_out

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_PARENT_DEATH_SIGNAL, _CHILD_SUBREAPER = 1, 36
_WHO = "codexsys <codexsys@localhost> 946684800 +0000"
_GIT = ("-c", "fastimport.unpackLimit=1", "-c", "core.compression=1", "-c", "safe.directory=*")


def load() -> None:
    """Go behind those who ask, and away from the network; every child inherits both."""
    os.nice(10)  # a zip is read beside the requests of whoever asked, not before them
    _leave_network()


def main(question: bytes, answer: int) -> None:
    """Let a worker do what is asked, and say how it ended; whoever hangs up ends it."""
    try:
        _control(_CHILD_SUBREAPER, 1)  # its own children are ours to end, too
        worker = os.fork()
        with contextlib.suppress(ProcessLookupError):
            os.setpgid(worker, worker)  # both do it, so that it is done for both
        if worker == 0:
            _control(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
            _work(json.loads(question), answer)
        if _ends_before_hang_up(worker, answer):
            _, status = os.waitpid(worker, 0)
            os.write(answer, f"\n{os.waitstatus_to_exitcode(status)}".encode())
        _end(worker)
    finally:
        os._exit(0)


def _ends_before_hang_up(worker: int, answer: int) -> bool:
    ended = os.pidfd_open(worker)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(answer, select.POLLRDHUP)  # what else comes there is for the worker
    return ended in {descriptor for descriptor, _ in poll.poll()}


def _end(worker: int) -> None:
    """End what is left of its group, and let none of it stay as a zombie."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _work(asked: dict[str, Any], answer: int) -> None:
    """Do what was asked and say the answer as one JSON object; never returns."""
    status = 1
    try:
        limits = ZipLimits(**asked["limits"])
        _limit(limits)
        with open(answer, "wb", closefd=False) as out:
            out.write(json.dumps(_answered(asked, limits, answer)).encode())
        status = 0
    finally:
        os._exit(status)


def _answered(asked: dict[str, Any], limits: ZipLimits, told: int) -> dict[str, str]:
    try:
        return _answer(asked, limits, told)
    except ZipRefused as problem:
        return {"refused": str(problem)}
    except MemoryError:
        return {"refused": "The zip needs more memory to unpack than it may."}


def _answer(asked: dict[str, Any], limits: ZipLimits, told: int) -> dict[str, str]:
    file, *into = map(Path, asked["paths"])
    with file.open("rb") as opened:
        arriving = Arriving(opened, told, asked["grows_to"])
        seen = frozenset(look_ahead(arriving, limits))
        arriving.wait()
        tree = ZipTree(opened, limits)
        if asked["verb"] == "unpack":
            return _unpack(tree, into[0], asked["git"])
        tree.check(seen)
        return {}


def _limit(limits: ZipLimits) -> None:
    for what, most in (
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 2 * limits.total_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        new = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (new, new))


def _control(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _leave_network() -> None:
    """Enter a network namespace without interfaces, where the host lets us; nothing here dials."""
    if sys.platform != "linux":
        return
    user, group = os.getuid(), os.getgid()
    unshare = ctypes.CDLL(None).unshare
    if unshare(_NEW_NETWORK) == 0 or unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return
    # Without a mapping git would take the directory for somebody else's.
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _unpack(tree: ZipTree, into: Path, git: str) -> dict[str, str]:
    """Feed the files to `git fast-import`: no file of the zip is ever written as one."""
    lay_out(into)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C",
        "GIT_DIR": str(into.absolute()),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    with subprocess.Popen(
        [git, *_GIT, "fast-import", "--quiet", "--done", "--date-format=raw"],
        env=environment,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as importing:
        if importing.stdin is None:
            raise RuntimeError("no pipe")
        try:
            _feed(importing.stdin, tree)
            importing.stdin.close()
        except BaseException:
            importing.kill()
            with contextlib.suppress(BrokenPipeError):  # or that is told in place of why
                importing.stdin.close()
            raise
    if importing.returncode:
        raise RuntimeError(f"git fast-import ended with {importing.returncode}")
    ids = subprocess.run(
        [git, *_GIT, "rev-parse", BASE_REF, f"{BASE_REF}^{{tree}}"],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    commit, made = ids.stdout.decode().split()
    return {"commit": commit, "tree": made}


def _feed(out: IO[bytes], tree: ZipTree) -> None:
    out.write(f"commit {BASE_REF}\ncommitter {_WHO}\ndata 5\nbase\n\n".encode())
    for file in tree.files:
        _feed_file(out, tree, file)
    out.write(b"\ndone\n")


def _feed_file(out: IO[bytes], tree: ZipTree, file: ZipFile) -> None:
    path = file.path.replace('"', '\\"')
    out.write(f'M {file.mode} inline "{path}"\ndata {file.entry.size}\n'.encode())
    for chunk in tree.read(file.entry):
        out.write(chunk)
    out.write(b"\n")
