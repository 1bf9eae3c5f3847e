"""The Job of a sandbox: what is asked for in, what the API server takes out; pure translation."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from codexsys_adapters.kubernetes.inside.places import STAGES
from codexsys_adapters.kubernetes.site import Site
from codexsys_adapters.walls.program import AT, FOR_LOADERS, run_ours
from codexsys_core.environment import EnvironmentService
from codexsys_core.sandbox import SandboxSpec

LABEL = "codexsys.dev/"
DOOR_USER, KEEPER_USER = 20001, 20002
TOKEN = "/run/codexsys/token"  # noqa: S105 - where it is, not what
KEPT = "/run/codexsys/kept"
MAY_WRITE = {"workspace": "write", "setup": "write", "agent": "write", "reader": "read"}
"""What the phases of a stage may write; whoever is not named here may write nothing."""
LAST = ("agent", "reader", "collector")
"""The stages of the pod's main containers, which are beside each other."""
SAID = "/tmp/.said"  # noqa: S108 - inside
"""A file that the cluster wants in each container: where everything may be written to anyway."""
BESIDE = "service-"
"""Begins the name of each container with a server of the environment."""
_HIDDEN = dict.fromkeys(
    (
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_PORT",
        "KUBERNETES_PORT_443_TCP",
        "KUBERNETES_PORT_443_TCP_ADDR",
    ),
    "",
)
"""Where the API server is, which Kubernetes tells every container."""
_MI = 1 << 20
_OWN_MEMORY_MI = 32
_OWN_CPUS = 1.0
"""For our own: what stays hands on output, and what does not is waited for by everything after it."""
_TOOLS_MI = 256
_SMALL_MI = 320  # the door holds large requests
_KUBELET = 10250
_NODE = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
_RESTRICTED: dict[str, Any] = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}

Container = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """One sandbox in one cluster."""

    spec: SandboxSpec
    image: str
    user: int
    """Of everything that is not ours; the sandbox's own."""


def name_of(sandbox_id: str) -> str:
    """Return a sandbox's name in the cluster: the row's id."""
    return sandbox_id.replace("_", "-")


def labels(site: Site, spec: SandboxSpec) -> dict[str, str]:
    """Return labels that are all ours."""
    own = {
        "platform": site.platform,
        "sandbox": spec.id,
        "task-id": spec.task_id,
        "role": spec.role.value,
    }
    known = {"name": "codexsys-sandbox", "managed-by": "codexsys", "part-of": "codexsys"}
    return {f"app.kubernetes.io/{key}": value for key, value in known.items()} | {
        LABEL + key: value for key, value in own.items()
    }


def job(site: Site, wanted: Wanted) -> dict[str, Any]:
    """Return the Job; one with a token waits until its Secret is there."""
    spec = wanted.spec
    marked = {"labels": labels(site, spec)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name_of(spec.id), "namespace": site.namespace, **marked},
        "spec": {
            "suspend": spec.token is not None,
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": site.keep_seconds,
            "template": {"metadata": marked, "spec": pod(site, wanted)},
        },
    }


def secret(site: Site, spec: SandboxSpec, job_uid: str) -> dict[str, Any]:
    """Return the Secret with the door's token, which goes with the Job."""
    token = spec.token.get_secret_value() if spec.token else ""
    name = name_of(spec.id)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": site.namespace,
            "labels": labels(site, spec),
            "ownerReferences": [owner],
        },
        "immutable": True,
        "stringData": {"token": token},
    }


def pod(site: Site, wanted: Wanted) -> dict[str, Any]:
    """Return the pod: what it goes through, in order, and who stays."""
    spec = wanted.spec
    doors = [door(site)] if spec.token else []
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(spec.seconds) + site.start_seconds,
        "terminationGracePeriodSeconds": 5,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostname": "sandbox",
        "dnsPolicy": "Default",
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}} | owner(site, wanted),
        "initContainers": [
            prepare(site, wanted),
            keeper(site, wanted),
            rules(site, "closed"),
            stage(wanted, "workspace"),
            rules(site, "open"),
            stage(wanted, "setup"),
            rules(site, "locked" if doors else "closed-again"),
            *(service(wanted, each) for each in spec.services),
            *doors,
        ],
        "containers": [stage(wanted, name) for name in LAST],
        "volumes": volumes(site, wanted),
        **placed(site),
    }


def placed(site: Site) -> dict[str, Any]:
    """Return where the operator wants sandboxes to run, and how their images are got."""
    secrets = [{"name": name} for name in site.pull_secrets]
    given = {
        "nodeSelector": dict(site.node_selector),
        "tolerations": [*(dict(each) for each in site.tolerations), *_patience(site)],
        "runtimeClassName": site.runtime_class,
        "priorityClassName": site.priority_class,
        "imagePullSecrets": secrets,
    }
    return {key: value for key, value in given.items() if value}


def _patience(site: Site) -> list[dict[str, Any]]:
    """Return how long a pod stays on a node that the cluster has lost."""
    lost = ("not-ready", "unreachable")
    return [
        {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": site.lost_seconds,
        }
        for taint in lost
    ]


def owner(site: Site, wanted: Wanted) -> dict[str, Any]:
    """Return whose a disk is to be, which comes as root's."""
    if site.storage_class is None:
        return {}
    return {"fsGroup": wanted.user, "fsGroupChangePolicy": "OnRootMismatch"}


def files(site: Site, wanted: Wanted) -> dict[str, Any]:
    """Return the volume of code, output and home: a disk of its own where there is one to be had."""
    size = f"{wanted.spec.limits.disk_mb}Mi"
    if site.storage_class is None:
        return _empty("files", sizeLimit=size)
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": site.storage_class,
        "resources": {"requests": {"storage": size}},
    }
    template = {"metadata": {"labels": labels(site, wanted.spec)}, "spec": claim}
    return {"name": "files", "ephemeral": {"volumeClaimTemplate": template}}


def volumes(site: Site, wanted: Wanted) -> list[dict[str, Any]]:
    """Return what is kept while the pod lives: each of them bounded, none of them the node's."""
    limits = wanted.spec.limits
    disk = f"{limits.disk_mb}Mi"
    scratch = f"{max(1, limits.memory_mb // 2)}Mi"
    names = [*MAY_WRITE, "collector", *(_beside(each) for each in wanted.spec.services)]
    kept = [
        _empty("bundle", sizeLimit=f"{_TOOLS_MI}Mi"),
        files(site, wanted),
        _empty("base", sizeLimit=disk),
        _empty("input", sizeLimit=disk),
        _empty("kept", sizeLimit=f"{_kept_mi(wanted)}Mi"),
        *(_empty(f"tmp-{name}", medium="Memory", sizeLimit=scratch) for name in names),
    ]
    if wanted.spec.token:
        name = name_of(wanted.spec.id)
        kept.append({"name": "token", "secret": {"secretName": name, "defaultMode": 0o444}})
    return kept


def prepare(site: Site, wanted: Wanted) -> Container:
    """Return who brings the bundle along, and makes the folders of the sandbox's own user."""
    mounts = [_mount("bundle", "/bundle"), _mount("files", "/files")]
    return _ours(site, "prepare", [], mounts, user=wanted.user)


def keeper(site: Site, wanted: Wanted) -> Container:
    """Return who hands phases on, and keeps what they said."""
    spec = wanted.spec
    told: dict[str, Any] = {"seconds": spec.seconds, "token": spec.token is not None}
    limits = ("output_bytes", "pids", "share", "disk_mb")
    told |= {name: getattr(spec.limits, name) for name in limits}
    told["disk"] = site.storage_class is not None
    told["services"] = [[each.name, each.port] for each in spec.services]
    told["users"] = dict.fromkeys(STAGES, wanted.user) | {"door": DOOR_USER, "rules": 0}
    told["beside"] = [["tcp", "$(NODE)", _KUBELET], *(_way(url) for url in site.gateways)]
    mounts = [_mount("kept", KEPT), _mount("base", "/app/base.git"), _mount("input", "/app/input")]
    made = _ours(site, "keeper", [json.dumps(told)], mounts, user=KEEPER_USER)
    return made | {"restartPolicy": "Always", "env": [_NODE]}


def door(site: Site) -> Container:
    """Return who alone holds the token, and leads to the gateways."""
    mounts = [_mount("token", TOKEN, writable=False)]
    made = _ours(site, "doorkeeper", list(site.gateways), mounts, user=DOOR_USER)
    return made | {"name": "door", "restartPolicy": "Always"}


def rules(site: Site, kind: str) -> Container:
    """Return who sets the rules of the pod's network: of the pod it alone may, and it ends at once."""
    told: dict[str, Any] = {"kind": kind.partition("-")[0]}
    if kind == "open":
        told |= {"allow": list(site.allow), "deny": [*site.deny, "$(NODE)"]}
    if kind == "locked":
        told |= {
            "user": DOOR_USER,
            "gateways": ["{}:{}".format(*_way(url)[1:]) for url in site.gateways],
        }
    made = _ours(site, "rules", [json.dumps(told)], [], user=0)
    made["securityContext"] |= {
        "runAsNonRoot": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    }
    return made | {"name": f"rules-{kind}", "env": [_NODE]}


def stage(wanted: Wanted, name: str) -> Container:
    """Return a container of the wanted image, in which phases run one after the other."""
    limits = wanted.spec.limits
    may = MAY_WRITE.get(name)
    main = name == LAST[0]
    return {
        "name": name,
        "image": wanted.image,
        "command": run_ours("kubernetes.inside.stage", name),
        "workingDir": "/",
        "terminationMessagePath": SAID,
        "env": [{"name": each, "value": ""} for each in FOR_LOADERS],
        "volumeMounts": [
            _mount("bundle", AT, writable=False, part="codexsys"),
            _mount("files", "/app/code", writable=may == "write", part="code"),
            _mount("files", "/app/output", writable=may is not None, part="output"),
            _mount("files", "/app/home", writable=may is not None, part="home"),
            _mount("base", "/app/base.git", writable=False),
            _mount("input", "/app/input", writable=False),
            _mount(f"tmp-{name}", "/tmp", part="tmp"),  # noqa: S108 - inside
            _mount(f"tmp-{name}", "/dev/shm", part="shm"),  # noqa: S108 - inside
            *(
                _mount("bundle", f"/etc/{file}", writable=False, part=f"etc/{file}")
                for file in ("passwd", "group", "ld.so.preload")
            ),
        ],
        "resources": _resources(
            cpus=limits.cpus,
            memory_mi=limits.memory_mb + _OWN_MEMORY_MI,
            storage_mi=limits.disk_mb,
            busy=main,
        ),
        "securityContext": _RESTRICTED | {"runAsUser": wanted.user, "runAsGroup": wanted.user},
    }


def service(wanted: Wanted, told: EnvironmentService) -> Container:
    """Return a server of the environment: there from when the network is locked, with the sandbox's limits."""
    limits, name, user = wanted.spec.limits, _beside(told), wanted.user + 1
    scratch = [("/tmp", "tmp"), ("/run", "run"), ("/dev/shm", "shm")]  # noqa: S108 - inside
    made: Container = {
        "name": name,
        "image": told.image,
        "restartPolicy": "Always",
        "env": [
            {"name": key, "value": _literal(value)}
            for key, value in (_HIDDEN | {"HOME": "/tmp"} | told.variables).items()  # noqa: S108 - inside
        ],
        "terminationMessagePath": SAID,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [_mount(f"tmp-{name}", place, part=part) for place, part in scratch],
        "resources": _resources(
            cpus=limits.cpus,
            memory_mi=limits.memory_mb,
            storage_mi=limits.disk_mb,
            busy=False,
        ),
        "securityContext": _RESTRICTED | {"runAsUser": user, "runAsGroup": user},
    }
    return made | ({"command": [_literal(word) for word in told.command]} if told.command else {})


def _beside(told: EnvironmentService) -> str:
    return f"{BESIDE}{told.name}"


def _literal(word: str) -> str:
    """Return a word that Kubernetes does not put variables into."""
    return word.replace("$", "$$")


def _ours(
    site: Site, program: str, arguments: list[str], mounts: list[dict[str, Any]], *, user: int
) -> Container:
    """Return a container of our own image."""
    return {
        "name": program,
        "image": site.tools,
        "command": run_ours(f"kubernetes.inside.{program}", *arguments),
        "workingDir": "/",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
        "resources": _resources(
            cpus=_OWN_CPUS, memory_mi=_SMALL_MI, storage_mi=_SMALL_MI, busy=False
        ),
        "securityContext": _RESTRICTED | {"runAsUser": user, "runAsGroup": user},
    }


def _resources(*, cpus: float, memory_mi: int, storage_mi: int, busy: bool) -> dict[str, Any]:
    """Return limits, and what is set aside: for whom the others wait all of its memory."""
    asked = f"{memory_mi}Mi" if busy else f"{_OWN_MEMORY_MI}Mi"
    return {
        "limits": {
            "cpu": f"{int(cpus * 1000)}m",
            "memory": f"{memory_mi}Mi",
            "ephemeral-storage": f"{storage_mi}Mi",
        },
        "requests": {
            "cpu": "100m" if busy else "10m",
            "memory": asked,
            "ephemeral-storage": "16Mi",
        },
    }


def _mount(name: str, place: str, *, writable: bool = True, part: str = "") -> dict[str, Any]:
    mount: dict[str, Any] = {"name": name, "mountPath": place, "readOnly": not writable}
    return mount | ({"subPath": part} if part else {})


def _empty(name: str, **bounds: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": bounds}


def _kept_mi(wanted: Wanted) -> int:
    """Return room for what all phases say."""
    return 64 + 8 * max(1, wanted.spec.limits.output_bytes // _MI)


def _way(url: str) -> tuple[str, str | None, int]:
    """Return how a gateway is reached: protocol, address and port."""
    parts = urlsplit(url)
    return "tcp", parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
