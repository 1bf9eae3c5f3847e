"""What the cluster says of a run, as an exit code and a sentence."""

import json
from typing import Any

import pytest

from codexsys_adapters.kubernetes.cluster import Refusal
from codexsys_adapters.kubernetes.runs import told
from codexsys_adapters.kubernetes.runs.asked import Asked
from codexsys_adapters.kubernetes.runs.told import Ended


def pod_of(
    name: str = "run",
    *,
    waiting: dict[str, Any] | None = None,
    terminated: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    state: dict[str, Any] = {"running": {}}
    if waiting or terminated:
        state = {"waiting": waiting} if waiting else {"terminated": terminated}
    kind = "containerStatuses" if name == "run" else "initContainerStatuses"
    phase = "Failed" if terminated else "Running"
    return {
        "metadata": {},
        "status": {"phase": phase, kind: [{"name": name, "image": "i", "state": state}]} | status,
    }


@pytest.mark.parametrize("code", [0, 1, 7, 137, 255])
def test_the_exit_code_is_the_containers(code: int) -> None:
    assert told.end_of(pod_of(terminated={"exitCode": code})) == Ended(code)


def test_while_it_runs_there_is_no_end() -> None:
    assert told.end_of(pod_of()) is None
    assert told.heard_from(pod_of())
    assert not told.heard_from(pod_of(waiting={"reason": "ContainerCreating"}))


@pytest.mark.parametrize(
    ("pod", "code", "words"),
    [
        (None, 125, "gone"),
        (pod_of(terminated={"exitCode": 137, "reason": "OOMKilled"}), 137, "memory"),
        (
            pod_of(terminated={"exitCode": 137}, reason="DeadlineExceeded"),
            124,
            "--timeout",
        ),
        (
            pod_of(terminated={"exitCode": 137}, reason="Evicted", message="disk pressure"),
            137,
            "disk pressure",
        ),
        (
            pod_of(
                terminated={
                    "exitCode": 128,
                    "reason": "StartError",
                    "message": 'exec: "nope": executable file not found in $PATH',
                }
            ),
            127,
            "nope",
        ),
        (
            pod_of(
                terminated={
                    "exitCode": 128,
                    "reason": "StartError",
                    "message": "permission denied",
                }
            ),
            126,
            "permission denied",
        ),
        (
            pod_of("files-in", terminated={"exitCode": 128, "message": 'exec: "sh"'}),
            125,
            "--sync needs sh",
        ),
        (pod_of(phase="Failed", reason="NodeLost", message="node is away"), 125, "node is away"),
    ],
)
def test_every_other_end_says_what_it_was(
    pod: dict[str, Any] | None, code: int, words: str
) -> None:
    ended = told.end_of(pod)
    assert ended is not None
    assert ended.code == code
    assert words in ended.words


def test_a_pod_that_is_deleted_leaves_it_to_the_job_to_say_why() -> None:
    pod = pod_of()
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ended = told.end_of(pod)
    assert ended is not None
    assert ended.gone
    late = {"reason": "DeadlineExceeded", "type": "Failed"}
    job: dict[str, Any] = {"metadata": {}, "status": {"conditions": [late]}}
    assert "Nothing was heard from here" in told.job_gone(job).words
    assert "somebody else" in told.job_gone(None).words
    assert "pod was deleted" in told.job_gone({"metadata": {}}).words


def test_an_image_that_cannot_be_pulled_ends_it() -> None:
    pod = pod_of(waiting={"reason": "ErrImagePull", "message": "nowhere/x:1: not found"})
    refused = told.refused(pod)
    assert refused is not None
    assert refused.code == 125
    assert "nowhere/x:1: not found" in refused.words
    assert told.refused(pod_of(waiting={"reason": "ContainerCreating"})) is None
    assert told.refused(pod_of(terminated={"exitCode": 3})) is None


def test_a_job_that_gets_no_pod_says_why() -> None:
    words = 'pods "run-1-x" is forbidden: exceeded quota: small, requested: cpu=4'
    event = {"type": "Warning", "reason": "FailedCreate", "message": f"Error creating: {words}"}
    line = json.dumps({"type": "ADDED", "object": event}).encode()
    assert told.not_made(told.event_of(line)) == words
    assert told.not_made(event | {"message": "Error creating: etcd is away"}) is None
    assert told.not_made({"type": "Normal", "reason": "SuccessfulCreate"}) is None
    assert told.not_made(told.event_of(b"{half a line")) is None


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (403, "jobs.batch is forbidden: User ada", "does not let you: jobs.batch is forbidden"),
        (401, "Unauthorized", "does not know you"),
        (409, "exists", "There is a Job run-1 in team already"),
        (404, 'namespaces "team" not found', 'namespaces "team" not found'),
        (500, "etcd", "refused: etcd"),
    ],
)
def test_a_refused_call_is_a_sentence(status: int, message: str, words: str) -> None:
    asked = Asked(name="run-1", image="i")
    assert words in told.refusal_in_words(Refusal(status, message), asked, "team")
