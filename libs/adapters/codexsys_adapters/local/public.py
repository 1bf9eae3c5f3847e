"""The way out of an online phase: slirp4netns, behind rules that were read back."""

import contextlib
import fcntl
import json
import os
import select
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from codexsys_adapters.local.enter import Within
from codexsys_adapters.walls.addresses import TRIE, own_addresses
from codexsys_adapters.walls.rules import Rules, effective

_OWNER = 0xB701  # NS_GET_USERNS
_SECONDS = 20.0
_RESOLVER = "10.0.2.3"  # slirp4netns answers there, whatever the host's resolver is


@contextlib.contextmanager
def opened(setup: dict[str, Any], inside: int, asked: Sequence[str]) -> Iterator[None]:
    """Connect the namespace of a process that is still held; OSError when anything is not sure."""
    deny = [*setup["deny"], *own_addresses(TRIE.read_text())]
    rules = Rules.of(effective(setup["allow"], asked), deny, resolvers=[_RESOLVER])
    _load(inside, rules)
    with _slirp(inside, root=setup["root"]):
        _check(inside, rules)
        yield


def _load(inside: int, rules: Rules) -> None:
    """Load the rules before there is anything that they could let through."""
    _within(inside, ["/usr/sbin/nft", "-f", "-"], rules.text)
    _check(inside, rules)


def _check(inside: int, rules: Rules) -> None:
    listed = json.loads(_within(inside, ["/usr/sbin/nft", "-j", "list", "ruleset"]))
    if not rules.found_in(listed):
        raise OSError("the network's rules are not as they were loaded")


def _within(inside: int, argv: list[str], text: str = "") -> str:
    """Return what a program says that runs in the network namespace of a process."""
    ran = subprocess.run(
        argv,
        preexec_fn=Within(inside),
        env={},
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )
    if ran.returncode != 0:
        raise OSError(f"{Path(argv[0]).name}: {ran.stderr.decode(errors='replace')[-300:]}")
    return ran.stdout.decode()


@contextlib.contextmanager
def _slirp(inside: int, *, root: bool) -> Iterator[None]:
    """Keep slirp4netns beside the namespace; it ends when we let go of it, or are gone."""
    with contextlib.ExitStack() as stack:
        ready, tell = os.pipe2(os.O_CLOEXEC)
        stack.callback(os.close, ready)
        leave, hold = os.pipe2(os.O_CLOEXEC)
        argv, passed = _arguments(stack, inside, root=root)
        process = subprocess.Popen(
            [*argv, f"--ready-fd={tell}", f"--exit-fd={leave}", *_target(inside)],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(tell, leave, *passed),
            cwd="/",
        )
        os.close(tell)
        os.close(leave)
        stack.callback(process.wait)
        stack.callback(process.kill)
        stack.callback(os.close, hold)
        if not select.select([ready], [], [], _SECONDS)[0] or not os.read(ready, 1):
            raise OSError("slirp4netns did not start; it needs /dev/net/tun")
        yield


def _arguments(
    stack: contextlib.ExitStack, inside: int, *, root: bool
) -> tuple[list[str], tuple[int, ...]]:
    argv = ["/usr/bin/slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"]
    argv.append("--enable-seccomp")
    if root:
        return [*argv, "--enable-sandbox"], ()
    network = os.open(f"/proc/{inside}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, network)
    owner = fcntl.ioctl(network, _OWNER)
    stack.callback(os.close, owner)
    return [*argv, f"--userns-path=/proc/self/fd/{owner}"], (owner,)


def _target(inside: int) -> list[str]:
    return ["--netns-type=path", f"/proc/{inside}/ns/net", "tap0"]
