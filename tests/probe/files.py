"""Files of the host, of other tasks and of the platform, and ways around the walls between."""

import os
import socket
import stat
from collections.abc import Iterator

from tests.probe.attempt import Table, Told, all_of, each, found, outcome

TABLE = Table()
_OWN = ("/app/code", "/app/output", "/app/home", "/tmp", "/dev/shm")
_SOCKETS = (
    "/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
    "/run/crio/crio.sock", "/run/buildkit/buildkitd.sock", "/run/dbus/system_bus_socket",
    "/run/systemd/private", "/run/systemd/notify", "/run/snapd.socket", "/run/nscd/socket",
)  # fmt: skip
_PSEUDO_TERMINAL = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
_LINKS = {"fd", "stdin", "stdout", "stderr", "core", "pts", "shm", "mqueue"}


def written(path: str) -> str:
    """Try to open or make a file for writing; nothing is written."""

    def call() -> None:
        os.close(os.open(path, os.O_WRONLY | (0 if os.path.lexists(path) else os.O_CREAT), 0o600))

    return outcome(call)


def read(path: str) -> str:
    def call() -> None:
        with open(path, "rb") as file:
            file.read(1)

    return outcome(call)


@TABLE.attempt("files and folders of the host and of other sandboxes, by their paths", "nothing")
def host_files(told: Told) -> str:
    return found(path for path in told.paths if os.path.lexists(path))


@TABLE.attempt("the same through `..` above the root", "nothing")
def host_files_above_the_root(told: Told) -> str:
    up = "/.." * 20
    return found(path for path in told.paths if os.path.lexists(f"{up}{path}"))


@TABLE.attempt("the same through `/proc/PID/root` and `/proc/PID/cwd` of every process", "nothing")
def host_files_through_proc(told: Told) -> str:
    links = [f"/proc/{pid}/{link}" for pid in _pids() for link in ("root", "cwd", "cwd/../../..")]
    return found(
        f"{link}{path}" for link in links for path in told.paths if os.path.lexists(f"{link}{path}")
    )


def _pids() -> list[str]:
    return ["self", "thread-self", *(name for name in os.listdir("/proc") if name.isdigit())]


@TABLE.attempt("the same through a symlink in the workspace", "nothing")
def host_files_through_a_symlink(told: Told) -> str:
    opened = []
    for number, path in enumerate(told.paths):
        link = f"/tmp/link-{number}"
        os.symlink(path, link)
        if os.path.exists(link):
            opened.append(path)
        os.unlink(link)
    return found(opened)


@TABLE.attempt("a hard link to a file that is not ours", "EXDEV or EPERM or EROFS")
def hard_link_to_a_system_file(told: Told) -> str:
    return each(_linked, ("/etc/passwd", "/usr/bin/env"))


@TABLE.attempt("a hard link out of `/app/base.git` and `/app/input`", "EXDEV or EPERM or EROFS")
def hard_link_to_a_given_file(told: Told) -> str:
    return each(_linked, ("/app/base.git/HEAD", "/app/input/told.json"))


def _linked(path: str) -> None:
    os.link(path, "/app/home/hard")


@TABLE.attempt("a descriptor that was left open for us", "nothing")
def inherited_descriptors(told: Told) -> str:
    return found(name for name in INHERITED if not name.startswith(("/dev/null", "pipe:")))


def _descriptors() -> list[str]:
    names = os.listdir("/proc/self/fd")
    return [
        os.readlink(f"/proc/self/fd/{name}")
        for name in names
        if os.path.lexists(f"/proc/self/fd/{name}")
    ]


INHERITED = _descriptors()
"""As they were when the program started, before it opened any of its own."""


@TABLE.attempt("files and folders behind the descriptors of process 1 and of others", "nothing")
def descriptors_of_others(told: Told) -> str:
    return found(place for place in _opened_by_others())


def _opened_by_others() -> Iterator[str]:
    for pid in _pids():
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            link = f"/proc/{pid}/fd/{name}"
            try:
                mode, target = os.stat(link).st_mode, os.readlink(link)
            except OSError:
                continue
            inside = target.startswith(("/app/", "/tmp/", "/proc/", "/dev/null"))
            if (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode)) and not inside:
                yield f"{link} → {target}"


@TABLE.attempt("root's home, SSH keys and password hashes", "ENOENT or EACCES")
def roots_files(told: Told) -> str:
    return all_of(
        map(read, ("/root/.ssh/id_rsa", "/root/.bash_history", "/etc/shadow", "/etc/gshadow"))
    )


@TABLE.attempt("sockets of Docker, containerd, Podman, systemd, D-Bus", "ENOENT")
def engine_sockets(told: Told) -> str:
    return all_of(map(_connected, _SOCKETS))


@TABLE.attempt("unix sockets that the platform listens on, by their paths", "ENOENT")
def platform_sockets(told: Told) -> str:
    return all_of(map(_connected, told.sockets))


def _connected(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        return outcome(lambda: client.connect(path))


@TABLE.attempt("a service account's token", "ENOENT")
def service_account(told: Told) -> str:
    return all_of(
        map(read, ("/var/run/secrets/kubernetes.io/serviceaccount/token", "/run/secrets/token"))
    )


@TABLE.attempt("write to the agent's program and interpreter", "EROFS or EACCES or ETXTBSY")
def write_the_agent(told: Told) -> str:
    interpreter = os.path.realpath("/proc/self/exe")
    beside = os.path.join(os.path.dirname(os.__file__), "planted.py")
    return all_of(
        map(written, (interpreter, beside, "/opt/codexsys/planted", "/opt/codexsys/agent/planted"))
    )


@TABLE.attempt("write to the base and to what a phase was given", "EROFS or EACCES")
def write_what_was_given(told: Told) -> str:
    return all_of(
        map(
            written,
            (
                "/app/base.git/x",
                "/app/base.git/HEAD",
                "/app/input/x",
                "/app/input/told.json",
                "/app/x",
            ),
        )
    )


@TABLE.attempt("write to `/`, `/etc`, `/usr`, `/dev`, `/run`", "EROFS or EACCES or ENOENT or EPERM")
def write_the_system(told: Told) -> str:
    return all_of(
        map(
            written,
            (
                "/x",
                "/etc/x",
                "/etc/passwd",
                "/etc/ld.so.preload",
                "/usr/x",
                "/usr/bin/env",
                "/dev/x",
                "/run/x",
            ),
        )
    )


@TABLE.attempt(
    "any folder that may be written beside workspace, output, home, `/tmp`, `/dev/shm`", "nothing"
)
def writable_elsewhere(told: Told) -> str:
    return found(_writable("/", depth=3))


def _writable(folder: str, depth: int) -> Iterator[str]:
    if os.access(folder, os.W_OK):
        yield folder
    try:
        entries = list(os.scandir(folder)) if depth else []
    except OSError:
        return
    for entry in entries:
        hidden = entry.path in (*_OWN, "/proc", "/dev/pts", "/dev/mqueue")
        if not hidden and entry.is_dir(follow_symlinks=False):
            yield from _writable(entry.path, depth - 1)


@TABLE.attempt("a mount on which set-uid programs or devices would work", "nothing")
def mounts_with_devices(told: Told) -> str:
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        lines = [line.split() for line in file]
    own = [(words[4], words[5].split(",")) for words in lines if words[4].startswith(_OWN)]
    return found(place for place, options in own if not {"nosuid", "nodev"} <= set(options))


@TABLE.attempt(
    "devices of the host: disks, memory, loop, tun, kvm, fuse, vhost, kernel log", "nothing"
)
def devices(told: Told) -> str:
    return found(sorted(set(os.listdir("/dev")) - _PSEUDO_TERMINAL - _LINKS))


@TABLE.attempt(
    "`/dev/mem`, `/dev/kmsg`, `/dev/loop-control`, `/dev/loop0`, `/dev/kvm`", "ENOENT or EACCES"
)
def open_devices(told: Told) -> str:
    names = (
        "mem",
        "kmem",
        "port",
        "kmsg",
        "loop-control",
        "loop0",
        "kvm",
        "fuse",
        "vsock",
        "net/tun",
        "sda",
        "vda",
    )
    return all_of(read(f"/dev/{name}") for name in names)


@TABLE.attempt(
    "write anything under `/sys`: uevent helper, power state, firmware",
    "ENOENT or EROFS or EACCES or EPERM",
)
def write_sys(told: Told) -> str:
    names = (
        "kernel/uevent_helper",
        "power/state",
        "kernel/mm/transparent_hugepage/enabled",
        "module/x",
    )
    return all_of(written(f"/sys/{name}") for name in names)


@TABLE.attempt("write a control group: `release_agent`, `cgroup.procs`, limits", "nothing")
def write_control_groups(told: Told) -> str:
    wanted = {
        "release_agent",
        "notify_on_release",
        "cgroup.procs",
        "tasks",
        "memory.max",
        "memory.limit_in_bytes",
        "pids.max",
    }
    files = (
        os.path.join(folder, name)
        for folder, _, names in os.walk("/sys/fs/cgroup")
        for name in names
        if name in wanted
    )
    return found(path for path in files if written(path) == "open")
