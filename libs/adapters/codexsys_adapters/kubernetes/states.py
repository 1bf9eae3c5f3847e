"""What the cluster says of a pod, in our words and in its own; pure."""

from collections.abc import Iterator
from typing import Any

from codexsys_adapters.kubernetes.manifest import BESIDE
from codexsys_adapters.kubernetes.site import Object
from codexsys_core.errors import SandboxError

_ABSENT = ("not found", "manifest unknown", "does not exist", "access denied", "unauthorized")
_PULLING = ("ErrImagePull", "ImagePullBackOff")
_NO_IMAGE = ("InvalidImageName", "ErrImageNeverPull")
_UNUSABLE = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
)
WORDLESS = "the pod ended"
"""What there is to say where the cluster says nothing, or not yet."""


def end_of(pod: Object | None) -> dict[str, Any] | None:
    """Return how a phase ends with its pod, None while the pod lives."""
    if pod is None:
        return {"reason": "sandbox_lost", "detail": "the pod is gone"}
    status = pod.get("status", {})
    reason, words = str(status.get("reason", "")), str(status.get("message", ""))
    if pod["metadata"].get("deletionTimestamp"):
        why = f": {words or _disruption_of(pod)}".removesuffix(": ")
        return {"reason": "sandbox_lost", "detail": f"the pod was deleted{why}"}
    if status.get("phase") not in ("Failed", "Succeeded"):
        return None
    if reason == "DeadlineExceeded":
        return {"reason": "deadline", "detail": words}
    if reason == "Evicted":
        full = "ephemeral" in words or "emptyDir" in words or "EmptyDir" in words
        return {"reason": "disk_full" if full else "sandbox_lost", "detail": f"{reason}: {words}"}
    if memory := memory_of(pod):
        return memory
    said = [
        f"{name}: {ended.get('reason')} {ended.get('exitCode')} {_last_of(ended)}".strip()
        for name, ended in _failed(pod)
    ]
    detail = " ".join([reason, words, *said]).strip() or WORDLESS
    return {"reason": "sandbox_lost", "detail": detail}


def memory_of(pod: Object | None) -> dict[str, Any] | None:
    """Return the end of a phase whose container was killed for memory whole, None when none was."""
    for name, ended in _terminated(pod):
        if ended.get("reason") == "OOMKilled":
            detail = f"{name} was killed for memory"
            return {"reason": "out_of_memory", "oom_killed": True, "detail": detail}
    return None


def refusal_of(pod: Object | None) -> SandboxError | None:
    """Return why a pod will never start, None while it may."""
    if pod is None:
        return None
    ended = end_of(pod)
    if ended is not None:
        return SandboxError(f"The pod cannot start: {ended['detail']}", code="sandbox_failed")
    return next((each for _, each in _refused(pod)), None)


def missing_of(pod: Object | None) -> dict[str, Any] | None:
    """Return how a phase ends that waits for a service in vain."""
    found = [*_refused(pod or {}), *_broken(pod)]
    for name, error in found:
        if name.startswith(BESIDE):
            detail = f"service {name.removeprefix(BESIDE)}: {error.message}"
            return {"reason": "sandbox_failed", "detail": detail}
    return None


def _refused(pod: Object) -> Iterator[tuple[str, SandboxError]]:
    """Yield the containers that wait in vain, and why."""
    for name, image, waiting in _waiting(pod):
        reason, words = waiting.get("reason", ""), waiting.get("message", "")
        message = f"Image {image}: {reason}: {words}"
        if reason in _NO_IMAGE or (
            reason in _PULLING and any(word in words.lower() for word in _ABSENT)
        ):
            yield name, SandboxError(message, code="image_not_found")
        elif reason == "ImagePullBackOff":
            yield name, SandboxError(message, code="sandbox_failed")
        elif reason in _UNUSABLE:
            yield name, SandboxError(message, code="image_unusable")


def delay_of(pod: Object | None) -> str | None:
    """Return why a pod does not run yet, in the cluster's words; None when nothing is said."""
    for condition in (pod or {}).get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"waiting for room in the cluster: {condition.get('message', '')}"
    return None


def running(pod: Object | None, container: str) -> bool:
    """Say whether a container of a pod runs."""
    return any(
        status["name"] == container and "running" in status.get("state", {})
        for status in _statuses(pod)
    )


def image_of(pod: Object | None, container: str) -> str | None:
    """Return what names a container's image for good, where the cluster says so."""
    for status in _statuses(pod):
        if status["name"] == container and status.get("imageID"):
            return str(status["imageID"])
    return None


def _disruption_of(pod: Object) -> str:
    """Return why the cluster itself ended a pod: its node was lost, others came first, somebody evicted it."""
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def _statuses(pod: Object | None) -> list[Object]:
    status = (pod or {}).get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _broken(pod: Object | None) -> Iterator[tuple[str, SandboxError]]:
    """Yield the containers that end again and again, and how they did."""
    for status in _statuses(pod):
        now, before = status.get("state", {}), status.get("lastState", {})
        ended = now.get("terminated") or before.get("terminated")
        if ended and status.get("restartCount") and "running" not in now:
            message = f"{ended.get('reason')} {ended.get('exitCode')} {_last_of(ended)}"
            yield str(status["name"]), SandboxError(message.strip(), code="sandbox_failed")


def _waiting(pod: Object) -> Iterator[tuple[str, str, Object]]:
    for status in _statuses(pod):
        if waiting := status.get("state", {}).get("waiting"):
            yield str(status["name"]), str(status.get("image", "")), waiting


def _terminated(pod: Object | None) -> Iterator[tuple[str, Object]]:
    for status in _statuses(pod):
        if ended := status.get("state", {}).get("terminated"):
            yield str(status["name"]), ended


def _last_of(ended: Object) -> str:
    """Return the last line of what a container said of its end."""
    return str(ended.get("message", "")).strip().rpartition("\n")[2][-300:]


def _failed(pod: Object) -> Iterator[tuple[str, Object]]:
    return ((name, ended) for name, ended in _terminated(pod) if ended.get("exitCode"))
