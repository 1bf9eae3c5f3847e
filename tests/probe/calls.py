"""System calls that lead out of a sandbox or deep into the kernel, one by one."""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import pty
from functools import partial

from tests.probe.attempt import Table, Told, all_of, each, outcome

TABLE = Table()
_X86 = platform.machine() == "x86_64"
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_HERE = -100  # AT_FDCWD
_CHILD = 17  # SIGCHLD

# the number on x86_64, and on aarch64
_NUMBERS = {
    "unshare": (272, 97), "setns": (308, 268), "clone": (56, 220), "clone3": (435, 435),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "kcmp": (312, 272), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89),
    "syslog": (103, 116), "fanotify_init": (300, 262), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "sethostname": (170, 161), "setdomainname": (171, 162),
    "vhangup": (153, 58), "getpid": (39, 172),
}  # fmt: skip


def call(name: str, *arguments: int | bytes | None) -> str:
    """Make one system call and say what came back; a child that it made ends at once."""
    number = _NUMBERS[name][0 if _X86 else 1]
    return _raw(number, *arguments)


def _raw(number: int, *arguments: int | bytes | None) -> str:
    given = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    before = os.getpid()
    result = _libc.syscall(ctypes.c_long(number), *given)
    if os.getpid() != before:
        os._exit(0)
    return "open" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def _refused(name: str, arguments: tuple[int | bytes | None, ...], _: Told) -> str:
    return call(name, *arguments)


def _new_namespace(flag: int, _: Told) -> str:
    return all_of((call("unshare", flag), call("clone", flag | _CHILD, 0, 0, 0, 0)))


_SPACES = {
    "user": 0x10000000, "mount": 0x00020000, "pid": 0x20000000, "network": 0x40000000,
    "ipc": 0x08000000, "host name": 0x04000000, "control group": 0x02000000,
}  # fmt: skip

for _name, _flag in _SPACES.items():
    TABLE.add(
        f"new_{_name.replace(' ', '_')}_namespace",
        f"a new {_name} namespace, by `unshare` and by `clone`",
        partial(_new_namespace, _flag),
        agent="EPERM",
        setup="EPERM",
    )

_CALLS: list[tuple[str, tuple[int | bytes | None, ...], str, str]] = [
    ("clone3", (0, 0), "ENOSYS", "whose flags no filter can read"),
    ("mount", (b"none", b"/tmp", b"tmpfs", 0, None), "EPERM", "a file system"),
    ("umount2", (b"/tmp", 2), "EPERM", "what hides something"),
    ("pivot_root", (b"/tmp", b"/tmp"), "EPERM", "another root"),
    ("chroot", (b"/tmp",), "EPERM", "another root"),
    ("open_tree", (_HERE, b"/", 1), "EPERM", "a detached copy of a mount"),
    ("open_tree_attr", (_HERE, b"/", 1, None, 0), "EPERM", "a detached copy of a mount"),
    ("move_mount", (_HERE, b"/tmp", _HERE, b"/app/home", 0), "EPERM", "a mount to another place"),
    ("fsopen", (b"tmpfs", 0), "EPERM", "the new way to mount"),
    ("fsconfig", (-1, 0, None, None, 0), "EPERM", "the new way to mount"),
    ("fsmount", (-1, 0, 0), "EPERM", "the new way to mount"),
    ("fspick", (_HERE, b"/", 0), "EPERM", "the new way to mount"),
    ("mount_setattr", (_HERE, b"/", 0, b"\0" * 32, 32), "EPERM", "a read-only mount made writable"),
    ("ptrace", (16, 1, 0, 0), "EPERM", "process 1"),
    ("process_vm_readv", (1, None, 0, None, 0, 0), "EPERM", "memory of another process"),
    ("process_vm_writev", (1, None, 0, None, 0, 0), "EPERM", "memory of another process"),
    ("pidfd_getfd", (-1, 0, 0), "EPERM", "a descriptor of another process"),
    ("kcmp", (1, 1, 0, 0, 0), "EPERM", "what processes share in the kernel"),
    ("io_uring_setup", (1, b"\0" * 120), "EPERM", "calls that no filter sees"),
    ("io_uring_enter", (-1, 1, 0, 0, None, 0), "EPERM", "calls that no filter sees"),
    ("io_uring_register", (-1, 0, None, 0), "EPERM", "calls that no filter sees"),
    ("bpf", (0, b"\0" * 72, 72), "EPERM", "programs in the kernel"),
    ("perf_event_open", (b"\0" * 128, 0, -1, -1, 0), "EPERM", "what the processor does"),
    ("userfaultfd", (0,), "EPERM", "faults held for as long as one likes"),
    ("add_key", (b"user", b"x", b"x", 1, -4), "EPERM", "the kernel's keys"),
    ("request_key", (b"user", b"x", None, -4), "EPERM", "the kernel's keys"),
    ("keyctl", (0, -3, 0), "EPERM", "the kernel's keys"),
    ("init_module", (b"x", 1, b""), "EPERM", "a kernel module"),
    ("finit_module", (-1, b"", 0), "EPERM", "a kernel module"),
    ("delete_module", (b"x", 0), "EPERM", "a kernel module"),
    ("kexec_load", (0, 0, None, 0), "EPERM", "another kernel"),
    ("kexec_file_load", (-1, -1, 0, None, 0), "EPERM", "another kernel"),
    ("reboot", (0, 0, 0, None), "EPERM", "the machine"),
    ("swapon", (b"/app/home/swap", 0), "EPERM", "swap"),
    ("swapoff", (b"/app/home/swap",), "EPERM", "swap"),
    ("clock_settime", (0, b"\0" * 16), "EPERM", "the machine's clock"),
    ("settimeofday", (b"\0" * 16, None), "EPERM", "the machine's clock"),
    ("adjtimex", (b"\1" * 256,), "EPERM", "the machine's clock"),
    ("clock_adjtime", (0, b"\1" * 256), "EPERM", "the machine's clock"),
    ("quotactl", (0x800002 << 8, b"/dev/vda", 0, None), "EPERM", "disk quotas"),
    ("quotactl_fd", (0, 0x800002 << 8, 0, None), "EPERM", "disk quotas"),
    ("acct", (None,), "EPERM", "the machine's accounting"),
    ("syslog", (3, b"\0" * 64, 64), "EPERM", "the kernel's messages"),
    ("fanotify_init", (0x200, 0), "EPERM", "what happens to files"),
    (
        "name_to_handle_at",
        (_HERE, b"/", b"\0" * 256, b"\0" * 8, 0),
        "EPERM",
        "a handle of a file, past all folders",
    ),
    (
        "open_by_handle_at",
        (_HERE, b"\0" * 256, 0),
        "EPERM",
        "a file by its handle, past all folders",
    ),
    ("sethostname", (b"x", 1), "EPERM", "the host's name"),
    ("setdomainname", (b"x", 1), "EPERM", "the host's domain"),
    ("vhangup", (), "EPERM", "the terminal"),
]

for _name, _arguments, _wanted, _about in _CALLS:
    TABLE.add(
        _name,
        f"`{_name}`: {_about}",
        partial(_refused, _name, _arguments),
        agent=_wanted,
        setup=_wanted,
    )


@TABLE.attempt("`setns` into every namespace that can be opened", "EPERM or EACCES")
def setns(told: Told) -> str:
    kinds = ("net", "pid", "ipc", "uts", "user")
    return all_of(_entered(f"/proc/{pid}/ns/{kind}") for kind in kinds for pid in ("self", "1"))


def _entered(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return call("setns", file.fileno(), 0)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


@TABLE.attempt("the root made writable by `mount` with `MS_REMOUNT`", "EPERM")
def remount(told: Told) -> str:
    return all_of(
        call("mount", b"none", place, None, 0x20 | 0x1000, None)
        for place in (b"/", b"/app/base.git")
    )


@TABLE.attempt("a control group file system, for its `release_agent`", "EPERM")
def mount_control_groups(told: Told) -> str:
    return all_of(
        call("mount", b"none", b"/tmp", kind, 0, None) for kind in (b"cgroup", b"cgroup2")
    )


@TABLE.attempt("a fresh `proc`, without its read-only covers", "EPERM")
def mount_proc(told: Told) -> str:
    return call("mount", b"proc", b"/tmp", b"proc", 0, None)


@TABLE.attempt("system calls of the x32 ABI", "ENOSYS or SIGSYS or not here")
def x32(told: Told) -> str:
    return _raw(0x40000000 | _NUMBERS["getpid"][0]) if _X86 else "not here"


@TABLE.attempt("system calls of the i386 ABI, by `int 0x80`", "SIGSYS or not here")
def i386(told: Told) -> str:
    return _interrupt() if _X86 else "not here"


@TABLE.attempt("the same after `personality(PER_LINUX32)`", "SIGSYS or not here")
def i386_personality(told: Told) -> str:
    _libc.personality(8)
    return _interrupt() if _X86 else "not here"


def _interrupt() -> str:
    """Execute `mov eax, 20; int 0x80; ret`: getpid, as a 32-bit program asks for it."""
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as memory:
        memory.write(b"\xb8\x14\0\0\0\xcd\x80\xc3")
        code = ctypes.c_char.from_buffer(memory)
        answer = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(code))()
        del code
    return "open" if answer > 0 else errno.errorcode[-answer]


@TABLE.attempt("page zero, by `personality(MMAP_PAGE_ZERO)` and by `mmap`", "EPERM or EACCES")
def page_zero(told: Told) -> str:
    _libc.personality(0x0100000)
    _libc.mmap.restype = ctypes.c_long
    result = _libc.mmap(None, ctypes.c_size_t(4096), 7, 0x32, -1, ctypes.c_long(0))
    return "open" if result != -1 else errno.errorcode[ctypes.get_errno()]


@TABLE.attempt("input typed into a terminal by `TIOCSTI` and `TIOCLINUX`", "EPERM")
def terminal_injection(told: Told) -> str:
    _, terminal = pty.openpty()

    def inject(request: int) -> None:
        fcntl.ioctl(terminal, request, b"x")

    return each(inject, (0x5412, 0x541C))


@TABLE.attempt("the same with bits above the request, which the kernel cuts off", "EPERM")
def terminal_injection_masked(told: Told) -> str:
    _, terminal = pty.openpty()
    number = 16 if _X86 else 29
    return _raw(number, terminal, 0x1_0000_5412, b"x")


@TABLE.attempt("the controlling terminal of who started us", "ENXIO or ENOENT")
def controlling_terminal(told: Told) -> str:
    return outcome(lambda: os.close(os.open("/dev/tty", os.O_RDWR)))
