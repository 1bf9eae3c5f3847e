"""What the cluster says of a run, as an exit code and a sentence; pure."""

import json
from dataclasses import dataclass
from typing import Any

from codexsys_adapters.kubernetes import states
from codexsys_adapters.kubernetes.cluster import Refusal
from codexsys_adapters.kubernetes.runs.asked import Asked
from codexsys_adapters.kubernetes.runs.job import IN, MAIN
from codexsys_adapters.kubernetes.site import Object

FAILED, TIMED_OUT, CANNOT_RUN, NOT_THERE = 125, 124, 126, 127
"""As `docker run` and `timeout` have them: what is below is the command's own."""

_VERBS = {401: "does not know you", 403: "does not let you"}
_NO_START = ("StartError", "ContainerCannotRun")
_ABSENT = ("not found", "no such file")


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    words: str = ""
    """What is to be said beside the code, if anything is."""
    gone: bool = False
    """Whether its pod is, or is going: its Job may say more."""


def end_of(pod: Object | None) -> Ended | None:
    """Return how the command ended, None while nothing says so."""
    if pod is None:
        return Ended(FAILED, "The pod is gone.", gone=True)
    over = states.end_of(pod)
    if over is not None and over["reason"] == "deadline":
        return Ended(TIMED_OUT, "The time is up (--timeout).")
    own = terminated(pod, MAIN)
    if own is not None:
        return _command(pod, own)
    files = terminated(pod, IN)
    if files is not None and files.get("exitCode"):
        return Ended(FAILED, _without_shell(files))
    if over is not None:
        gone = "deletionTimestamp" in pod["metadata"]
        return Ended(FAILED, f"The pod ended: {over['detail']}", gone=gone)
    return None


def refused(pod: Object | None) -> Ended | None:
    """Return why the command will never start, None while it may, or did."""
    if pod is None or terminated(pod, MAIN) or states.end_of(pod):
        return None
    error = states.refusal_of(pod)
    return Ended(FAILED, error.message) if error else None


def heard_from(pod: Object | None) -> bool:
    """Say whether the command has begun, so that there is a log."""
    return states.running(pod, MAIN) or (pod is not None and terminated(pod, MAIN) is not None)


def not_made(event: Object) -> str | None:
    """Return why the Job gets no pod, None when this event says nothing of it."""
    if event.get("type") != "Warning" or event.get("reason") != "FailedCreate":
        return None
    words = str(event.get("message", ""))
    return words.removeprefix("Error creating: ") if "forbidden" in words else None


def event_of(line: bytes) -> Object:
    """Return the event in a line of a watch, an empty one when it is none."""
    try:
        found: Object = json.loads(line)["object"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found


def job_gone(job: Object | None) -> Ended:
    """Return why a run has no pod any more."""
    if job is None or job["metadata"].get("deletionTimestamp"):
        return Ended(FAILED, "The Job was deleted by somebody else.")
    for condition in job.get("status", {}).get("conditions", ()):
        if condition.get("reason") == "DeadlineExceeded":
            words = "Nothing was heard from here for so long that the cluster ended the Job (--lost-after)."
            return Ended(FAILED, words)
    return Ended(FAILED, "The pod was deleted.")


def refusal_in_words(refusal: Refusal, asked: Asked, namespace: str) -> str:
    """Return what a refused call means for this run."""
    if refusal.status in _VERBS:
        return f"The cluster {_VERBS[refusal.status]}: {refusal.message}"
    if refusal.status == 409:
        return f"There is a Job {asked.name} in {namespace} already: choose another --name."
    if refusal.status == 404:
        return f"The cluster does not know it: {refusal.message}"
    return f"The cluster refused: {refusal.message}"


def terminated(pod: Object, container: str) -> dict[str, Any] | None:
    """Return how a container of the pod ended, None while it has not."""
    status = pod.get("status", {})
    for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if each["name"] == container:
            found: dict[str, Any] | None = each.get("state", {}).get("terminated")
            return found
    return None


def _command(pod: Object, own: dict[str, Any]) -> Ended:
    reason, words = own.get("reason"), str(own.get("message", ""))
    code = int(own.get("exitCode", FAILED))
    if reason in _NO_START:
        absent = any(each in words.lower() for each in _ABSENT)
        return Ended(NOT_THERE if absent else CANNOT_RUN, f"The command cannot start: {words}")
    if reason == "OOMKilled":
        return Ended(code, "It was killed for memory: --limit-memory sets how much it may have.")
    if str(pod.get("status", {}).get("reason", "")) == "Evicted":
        return Ended(code, f"The pod was evicted: {pod['status'].get('message', '')}")
    return Ended(code)


def _without_shell(files: dict[str, Any]) -> str:
    words = files.get("message") or f"exit code {files.get('exitCode')}"
    return f"--sync needs sh, sleep, head and tar in the image: {words}"
