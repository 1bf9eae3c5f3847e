"""What the engine is told for each container of a sandbox: pure translation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codexsys_adapters.docker.engine import LABEL
from codexsys_adapters.docker.folder import Folder
from codexsys_adapters.docker.images import SCRATCH
from codexsys_adapters.docker.inside import doorkeeper
from codexsys_adapters.docker.weight import SHARES, shares
from codexsys_adapters.walls import program, seccomp

PLAN = "/run/codexsys/plan"
_OWN_PROCESSES = 2  # the first process, and a moment's second
_OWN_MEMORY = 16 << 20
_SMALL_MEMORY = 320 << 20  # the door holds large requests
_OUTPUT_KB = 1024
_A_YEAR = 365 * 86_400.0
_PLACES_OF_SERVICES = ("/run", "/var/run", "/var/log", "/var/tmp")  # noqa: S108 - inside
_HIDDEN = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
    "/proc/timer_stats", "/sys/block", "/sys/bus", "/sys/class", "/sys/dev", "/sys/devices",
    "/sys/firmware", "/sys/fs/bpf", "/sys/fs/btrfs", "/sys/fs/ext4", "/sys/fs/f2fs", "/sys/fs/fuse",
    "/sys/fs/pstore", "/sys/fs/selinux", "/sys/fs/xfs", "/sys/hypervisor", "/sys/kernel",
    "/sys/module", "/sys/power",
)  # fmt: skip
_READ_ONLY = (
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",  # as Docker has them
    "/proc/pressure",  # which anybody may write otherwise
)  # fmt: skip
"""What tells of the host and its devices; of /sys the sandbox's own control groups are left."""


@dataclass(frozen=True)
class Sandbox:
    """What all containers of one sandbox have in common."""

    setup: dict[str, Any]
    folder: Folder
    bundle: Path
    wheels: Path | None

    def name(self, part: str = "") -> str:
        """Return the name of a container: the row's id, and what it is in the sandbox."""
        return f"{self.setup['id']}.{part}"

    def labels(self, part: str, **more: str) -> dict[str, str]:
        """Return labels that are all ours."""
        own = {
            "platform": self.setup["platform"],
            "sandbox": self.setup["id"],
            "task-id": self.setup["task_id"],
            "role": self.setup["role"],
            "part": part,
            "folder": str(self.folder.path),
        }
        return {LABEL + name: value for name, value in (own | more).items()}


def phase_name(sandbox_id: str, phase: str) -> str:
    """Return the name of a phase's container, which no name of a phase makes another's."""
    return f"{sandbox_id}.phase-{phase}"


def phase(sandbox: Sandbox, told: dict[str, Any], network: str) -> dict[str, Any]:
    """Return the container of a phase."""
    setup, folder = sandbox.setup, sandbox.folder
    cap = told["output_bytes"] or setup["limits"]["output_bytes"]
    limits = setup["limits"]
    memory = limits["memory_mb"] << 20
    read = told["workspace"]
    host = _closed(memory + _OWN_MEMORY, limits["pids"] + _OWN_PROCESSES, limits["cpus"])
    host |= {
        "CpuShares": shares(setup),
        "NetworkMode": network,
        "Mounts": [
            *_program(sandbox),
            _bind(folder.plan(told["name"]), PLAN),
            _bind(folder.files / "code", "/app/code", writable=read == "write"),
            _bind(folder.files / "output", "/app/output", writable=read != "sealed"),
            _bind(folder.files / "home", "/app/home", writable=read != "sealed"),
            _bind(folder.path / "base.git", "/app/base.git"),
            _bind(folder.inputs(told["name"]), "/app/input"),
            *_etc(folder),
        ],
        "Tmpfs": _scratch(setup, memory // 2, setup["image"]["volumes"]),
        "ShmSize": memory // 2,
        "LogConfig": _log(cap // 1024 * 3 // 2 + _OUTPUT_KB),
    }
    config = {
        "Image": setup["image"]["id"],
        "User": f"{setup['uid']}:{setup['gid']}",
        "Entrypoint": program.run_ours("docker.inside.init", PLAN),
        "WorkingDir": "/",
        "Env": list(setup["image"]["env"]),  # a name without a value unsets it
        "Labels": sandbox.labels("phase", phase=told["name"]),
        "HostConfig": host,
    }
    return _quiet(config, own_name=network == "none")


def plan(setup: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Return what the first process of a phase is told."""
    return {
        "argv": program.command(list(told["argv"])),
        "env": program.environment(
            told["argv"][0], setup["image"]["env"], told["env"], wheels=setup["wheels"]
        ),
        "cwd": "/app/code",
        "seconds": told["seconds"],
        "ends_at": setup["ends_at"],
        "share": setup["limits"]["share"],
        "output": told["output"],
        "cap": told["output_bytes"] or setup["limits"]["output_bytes"],
        "door": told["network"] == "door",
        "port": None,
    }


def door(sandbox: Sandbox, sockets: Path) -> dict[str, Any]:
    """Return the container that holds the token, without a network."""
    setup = sandbox.setup
    mounts = [
        *_program(sandbox),
        _bind(sandbox.folder.path / "token", str(doorkeeper.TOKEN)),
        _bind(sockets, str(doorkeeper.GATEWAYS)),
    ]
    command = program.run_ours("docker.inside.doorkeeper", str(setup["ends_at"]))
    config = _ours(sandbox, "door", command, mounts)
    config["User"] = f"{setup['door_uid']}:{setup['door_uid']}"
    config["HostConfig"]["NetworkMode"] = "none"
    return config


def holder(sandbox: Sandbox) -> dict[str, Any]:
    """Return the container that holds a network namespace which leads nowhere."""
    command = program.run_ours("docker.inside.holder", str(sandbox.setup["ends_at"]))
    config = _ours(sandbox, "net", command, _program(sandbox))
    config["User"] = f"{sandbox.setup['door_uid']}:{sandbox.setup['door_uid']}"
    config["HostConfig"]["NetworkMode"] = "none"
    return config


def service(sandbox: Sandbox, told: dict[str, Any], network: str) -> dict[str, Any]:
    """Return the container of a server beside the sandbox."""
    setup, folder, limits = sandbox.setup, sandbox.folder, sandbox.setup["limits"]
    memory = limits["memory_mb"] << 20
    host = _closed(memory + _OWN_MEMORY, limits["pids"] + _OWN_PROCESSES, limits["cpus"]) | {
        "CpuShares": shares(setup),
        "NetworkMode": network,
        "Mounts": [
            *_program(sandbox),
            _bind(folder.service_plan(told["name"]), PLAN),
            *_etc(folder, told["name"]),
        ],
        "Tmpfs": _scratch(setup, memory // 2, [*_PLACES_OF_SERVICES, *told["image"]["volumes"]]),
        "ShmSize": memory // 2,
        "LogConfig": _log(_OUTPUT_KB),
    }
    config = {
        "Image": told["image"]["id"],
        "User": f"{setup['uid']}:{setup['gid']}",
        "Entrypoint": program.run_ours("docker.inside.init", PLAN),
        "WorkingDir": "/",
        "Env": list(told["image"]["env"]),
        "Labels": sandbox.labels("service", service=told["name"]),
        "HostConfig": host,
    }
    return _quiet(config, own_name=False)


def service_plan(setup: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Return what the first process of a service is told."""
    own = {"PATH": program.PATH, "HOME": "/tmp", "USER": "sandbox"}  # noqa: S108 - inside
    return {
        "argv": told["command"] or told["image"]["command"],
        "env": own | told["image"]["env"] | told["variables"],
        "cwd": told["image"]["cwd"],
        "seconds": _A_YEAR,
        "ends_at": setup["ends_at"],
        "share": setup["limits"]["share"],
        "output": "none",
        "cap": 0,
        "door": False,
        "port": told["port"],
    }


def gate(sandbox: Sandbox, phase_name: str, plan_file: Path) -> dict[str, Any]:
    """Return the container that rules over an online phase's network: it alone, and only at first."""
    command = program.run_ours("docker.inside.gatekeeper", str(sandbox.setup["ends_at"]), PLAN)
    mounts = [*_program(sandbox), _bind(plan_file, PLAN)]
    config = _ours(sandbox, "gate", command, mounts)
    config["Labels"] |= {LABEL + "phase": phase_name}
    config["User"] = "0:0"
    config["HostConfig"] |= {
        "NetworkMode": "bridge",
        "CapAdd": ["NET_ADMIN"],
        "Sysctls": {"net.ipv6.conf.all.disable_ipv6": "1"},
    }
    return config


def _ours(
    sandbox: Sandbox, part: str, command: list[str], mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a container of ours: an image with nothing in it, and the bundle."""
    host = _closed(_SMALL_MEMORY, 160, 0.5) | {
        "Mounts": mounts,
        "LogConfig": _log(_OUTPUT_KB),
    }
    config = {
        "Image": SCRATCH,
        "Entrypoint": command,
        "Labels": sandbox.labels(part),
        "HostConfig": host,
    }
    return _quiet(config, own_name=True)


def _closed(memory: int, pids: int, cpus: float) -> dict[str, Any]:
    """Return what holds for every container."""
    return {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={seccomp.profile()}"],
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": pids,
        "NanoCpus": int(cpus * 1e9),
        "CpuShares": SHARES,  # said, since an engine's own may be another number
        "CgroupnsMode": "private",
        "IpcMode": "private",
        "MaskedPaths": list(_HIDDEN),
        "ReadonlyPaths": list(_READ_ONLY),
    }


def _quiet(config: dict[str, Any], *, own_name: bool) -> dict[str, Any]:
    """Leave nothing to the image that the image should not decide."""
    name = {"Hostname": "sandbox"} if own_name else {}
    return config | name | {"Cmd": [], "Healthcheck": {"Test": ["NONE"]}, "StopSignal": "SIGTERM"}


def _program(sandbox: Sandbox) -> list[dict[str, Any]]:
    mounts = [_bind(sandbox.bundle, program.AT)]
    if sandbox.wheels:
        mounts.append(_bind(sandbox.wheels, program.WHEELS))
    return mounts


def _etc(folder: Folder, of: str = "") -> list[dict[str, Any]]:
    """Return who is who inside; and nothing is loaded into our own programs before they start."""
    names = {"passwd": "passwd", "group": "group", "nothing": "ld.so.preload"}
    return [_bind(folder.etc(of) / ours, f"/etc/{its}") for ours, its in names.items()]


def _scratch(setup: dict[str, Any], size: int, volumes: list[str]) -> dict[str, str]:
    """Return places to write to, bounded and private; where an image wants volumes are some, too.

    They belong to the sandbox's user, since the engine may keep the image's own permissions.
    """
    owner = f"mode=1777,uid={setup['uid']},gid={setup['gid']}"
    places = ["/tmp", *(volume for volume in volumes if not _is_ours(volume))]  # noqa: S108 - inside
    return dict.fromkeys(places, f"rw,exec,nosuid,nodev,size={size},{owner}")


def _is_ours(place: str) -> bool:
    taken = ("/app", "/opt/codexsys", "/run/codexsys", "/tmp", "/dev", "/proc", "/sys")  # noqa: S108
    return f"{place}/".startswith(tuple(f"{own}/" for own in taken))


def _bind(source: Path, target: str, *, writable: bool = False) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": str(source),
        "Target": target,
        "ReadOnly": not writable,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _log(kilobytes: int) -> dict[str, Any]:
    options = {"max-size": f"{kilobytes}k", "max-file": "1", "compress": "false"}
    return {"Type": "local", "Config": options}
