"""The Job of a run: what is asked for in, what the API server takes out; pure translation."""

from typing import Any

from codexsys_adapters.kubernetes.manifest import LABEL
from codexsys_adapters.kubernetes.runs.asked import Asked

MAIN, IN, OUT = "run", "files-in", "files-out"
ARRIVED, FETCHED = "/.codexsys/arrived", "/.codexsys/fetched"
"""Files that say how far the folder is; the command's own container does not have them."""

_OWN = "/.codexsys"
_GRACE_SECONDS = 10
_WAIT = "trap 'exit 0' TERM INT; until [ -e {file} ]; do sleep 0.2 || sleep 1 || exit 1; done"
_SMALL = {
    "requests": {"cpu": "10m", "memory": "32Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}

Container = dict[str, Any]


def labels(asked: Asked, run_id: str) -> dict[str, str]:
    """Return labels that are all ours; of a run's pods the watch sees these alone."""
    return {
        "app.kubernetes.io/name": "codexsys-run",
        "app.kubernetes.io/managed-by": "codexsys",
        LABEL + "platform": run_id,
        LABEL + "sandbox": asked.name,
    }


def job(asked: Asked, namespace: str, run_id: str) -> dict[str, Any]:
    """Return the Job: one pod, once, which the cluster ends by itself unless it is to be kept."""
    marked = {"labels": labels(asked, run_id)}
    ends = {} if asked.keep else lease(asked.lost_seconds)["spec"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": asked.name, "namespace": namespace, **marked},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "template": {"metadata": marked, "spec": pod(asked)},
            **ends,
        },
    }


def pod(asked: Asked) -> dict[str, Any]:
    """Return the pod."""
    synced = asked.sync is not None
    made: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": asked.service_account is not None,
        "enableServiceLinks": False,
        "securityContext": _security(asked),
        "containers": [main(asked), *([helper(asked, OUT, FETCHED)] if synced else [])],
        "volumes": volumes(asked),
    }
    if synced:
        made["initContainers"] = [helper(asked, IN, ARRIVED)]
    if asked.seconds is not None:
        made["activeDeadlineSeconds"] = asked.seconds
    if asked.service_account is not None:
        made["serviceAccountName"] = asked.service_account
    if asked.pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in asked.pull_secrets]
    return made


def main(asked: Asked) -> Container:
    """Return the container whose log and exit code are the run's."""
    made: Container = {
        "name": MAIN,
        "image": asked.image,
        "env": [{"name": name, "value": literal(value)} for name, value in asked.variables.items()],
        "resources": {
            kind: dict(sizes)
            for kind, sizes in (("requests", asked.requests), ("limits", asked.limits))
            if sizes
        },
        "securityContext": _held(asked),
        "volumeMounts": _workspace(asked),
    }
    if asked.entrypoint is not None:
        made["command"] = [literal(asked.entrypoint)]
    if asked.command:
        made["args"] = [literal(word) for word in asked.command]
    if asked.workspace is not None and (asked.work_there or asked.sync):
        made["workingDir"] = asked.workspace
    return made


def helper(asked: Asked, name: str, until: str) -> Container:
    """Return a container of the same image that only waits, so that files can go through it."""
    return {
        "name": name,
        "image": asked.image,
        "command": ["sh", "-c", _WAIT.format(file=until)],
        "workingDir": asked.workspace,
        "resources": _SMALL,
        "securityContext": _held(asked),
        "volumeMounts": [*_workspace(asked), {"name": "own", "mountPath": _OWN}],
    }


def volumes(asked: Asked) -> list[dict[str, Any]]:
    """Return the volumes of the pod."""
    made: list[dict[str, Any]] = []
    if asked.workspace is not None and asked.claim is not None:
        made.append(
            {"name": "workspace", "persistentVolumeClaim": {"claimName": asked.claim}},
        )
    elif asked.workspace is not None:
        made.append({"name": "workspace", "emptyDir": {}})
    if asked.sync is not None:
        made.append({"name": "own", "emptyDir": {"sizeLimit": "1Mi"}})
    return made


def lease(seconds: int) -> dict[str, Any]:
    """Return the change that has the cluster leave a Job alone until this long after its start, or its end."""
    return {"spec": {"activeDeadlineSeconds": seconds, "ttlSecondsAfterFinished": seconds}}


def literal(word: str) -> str:
    """Return a word of which Kubernetes makes this one again: it would put variables into it."""
    return word.replace("$", "$$")


def _workspace(asked: Asked) -> list[dict[str, Any]]:
    return [{"name": "workspace", "mountPath": asked.workspace}] if asked.workspace else []


def _security(asked: Asked) -> dict[str, Any]:
    made: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if asked.user is not None:
        made |= {"runAsUser": asked.user, "runAsGroup": asked.user, "fsGroup": asked.user}
    return made | ({"runAsNonRoot": True} if asked.user else {})


def _held(asked: Asked) -> dict[str, Any]:
    """Return what holds a container: whoever names another user than root needs no capability."""
    made: dict[str, Any] = {"allowPrivilegeEscalation": False}
    return made | ({"capabilities": {"drop": ["ALL"]}} if asked.user else {})
