"""What a cluster says of pods, as end reasons with the cluster's own words."""

from typing import Any

import pytest

from codexsys_adapters.kubernetes import states


def pod_of(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "sbx-1"}, "status": {"phase": "Running"} | status}


def container(name: str, image: str = "some/image:1", **state: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "imageID": "", "state": state}


def test_a_living_pod_ends_nothing() -> None:
    assert states.end_of(pod_of()) is None
    assert states.end_of(pod_of(phase="Pending")) is None


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ({"reason": "DeadlineExceeded", "message": "active too long"}, "deadline", "too long"),
        (
            {"reason": "Evicted", "message": 'Usage of EmptyDir volume "files" exceeds the limit'},
            "disk_full",
            "Evicted: Usage of EmptyDir",
        ),
        (
            {"reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds the total"},
            "disk_full",
            "ephemeral",
        ),
        (
            {"reason": "Evicted", "message": "node was low on memory"},
            "sandbox_lost",
            "low on memory",
        ),
        ({"reason": "NodeLost", "message": "node n1 is gone"}, "sandbox_lost", "NodeLost node n1"),
        (
            {"containerStatuses": [container("agent", terminated={"reason": "OOMKilled"})]},
            "out_of_memory",
            "agent",
        ),
        (
            {
                "initContainerStatuses": [
                    container("rules-open", terminated={"reason": "Error", "exitCode": 1})
                ]
            },
            "sandbox_lost",
            "rules-open: Error 1",
        ),
    ],
)
def test_a_pod_that_failed(status: dict[str, Any], reason: str, words: str) -> None:
    end = states.end_of(pod_of(phase="Failed", **status))
    assert end is not None
    assert (end["reason"], words in end["detail"]) == (reason, True), end


def test_a_pod_that_is_not_there_any_more() -> None:
    going = pod_of()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    for gone in (None, going):
        end = states.end_of(gone)
        assert end is not None
        assert end["reason"] == "sandbox_lost"


@pytest.mark.parametrize(
    ("reason", "words", "code"),
    [
        ("InvalidImageName", "couldn't parse", "image_not_found"),
        ("ErrImagePull", "some/image:1: not found", "image_not_found"),
        ("ErrImagePull", "dial tcp: connection refused", None),
        ("ImagePullBackOff", "Back-off pulling image", "sandbox_failed"),
        ("CreateContainerError", "exec: no such file", "image_unusable"),
        ("PodInitializing", "", None),
    ],
)
def test_a_container_that_cannot_start(reason: str, words: str, code: str | None) -> None:
    waiting = container("workspace", waiting={"reason": reason, "message": words})
    refused = states.refusal_of(pod_of(phase="Pending", initContainerStatuses=[waiting]))
    assert (refused.code if refused else None) == code
    assert refused is None or words in refused.message


def test_a_pod_that_waits_says_why() -> None:
    full = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    assert states.delay_of(pod_of(conditions=[full])) == (
        "waiting for room in the cluster: 0/1 nodes are available"
    )
    assert states.delay_of(pod_of(conditions=[full | {"status": "True"}])) is None


def test_what_runs_and_in_which_image() -> None:
    runs = container("keeper", running={"startedAt": "now"}) | {"imageID": "sha256:1"}
    pod = pod_of(initContainerStatuses=[runs, container("workspace", waiting={})])
    assert states.running(pod, "keeper")
    assert not states.running(pod, "workspace")
    assert states.image_of(pod, "keeper") == "sha256:1"
    assert states.image_of(pod, "workspace") is None


@pytest.mark.parametrize(
    ("now", "restarts", "words"),
    [
        ({"waiting": {"reason": "ImagePullBackOff", "message": "no"}}, 0, "Image some/image:1"),
        ({"terminated": {"reason": "Error", "exitCode": 3, "message": "oh"}}, 1, "Error 3 oh"),
        ({"terminated": {"reason": "Error", "exitCode": 3}}, 0, None),
        ({"running": {}}, 1, None),
    ],
)
def test_a_service_is_waited_for_in_vain(
    now: dict[str, Any], restarts: int, words: str | None
) -> None:
    status = container("service-words", **now) | {"restartCount": restarts}
    found = states.missing_of(pod_of(initContainerStatuses=[status]))
    assert (words is None) == (found is None)
    if found:
        assert (found["reason"], found["detail"][:14]) == ("sandbox_failed", "service words:")
        assert str(words) in found["detail"]
    assert states.missing_of(pod_of(initContainerStatuses=[status | {"name": "agent"}])) is None
