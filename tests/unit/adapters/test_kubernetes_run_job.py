"""The Job of `codexsys k8s-run`, as the API's own schema and the rules of Kubernetes see it."""

from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import V1Job

from codexsys_adapters.kubernetes.runs import job
from codexsys_adapters.kubernetes.runs.asked import Asked, seconds_of, variables_of
from codexsys_core.errors import Invalid

RUN = "0123456789abcdef"


def job_of(**more: Any) -> dict[str, Any]:
    made = job.job(Asked(name="run-1", image="someones/image:2", **more), "team", RUN)
    V1Job.model_validate(made)
    return made


def pod_of(**more: Any) -> dict[str, Any]:
    pod: dict[str, Any] = job_of(**more)["spec"]["template"]["spec"]
    return pod


def main_of(**more: Any) -> dict[str, Any]:
    main: dict[str, Any] = pod_of(**more)["containers"][0]
    return main


def test_the_least_that_can_be_asked_for() -> None:
    made = job_of()
    assert made["metadata"]["name"] == "run-1"
    assert made["metadata"]["namespace"] == "team"
    assert made["spec"]["backoffLimit"] == 0
    pod = pod_of()
    assert pod["restartPolicy"] == "Never"
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    main = main_of()
    assert (main["image"], main["resources"], main["env"]) == ("someones/image:2", {}, [])
    assert not {"command", "args", "workingDir"} & set(main)
    assert main["volumeMounts"] == [{"name": "workspace", "mountPath": "/workspace"}]
    assert pod["volumes"] == [{"name": "workspace", "emptyDir": {}}]


def test_everything_that_can_be_asked_for(tmp_path: Path) -> None:
    pod = pod_of(
        command=("a", "b"),
        entrypoint="/bin/sh",
        variables={"ONE": "1"},
        requests={"cpu": "500m", "memory": "1Gi"},
        limits={"cpu": "2"},
        workspace="/data",
        claim="mine",
        sync=tmp_path,
        user=1000,
        pull_secrets=("registry",),
        service_account="builder",
        seconds=90,
    )
    main, after = pod["containers"]
    (before,) = pod["initContainers"]
    assert (main["command"], main["args"], main["workingDir"]) == (["/bin/sh"], ["a", "b"], "/data")
    assert main["env"] == [{"name": "ONE", "value": "1"}]
    assert main["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "2"},
    }
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "mine"}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("builder", True)
    assert (pod["activeDeadlineSeconds"], pod["securityContext"]["runAsUser"]) == (90, 1000)
    for each in (before, main, after):
        assert each["image"] == "someones/image:2"
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "own" not in [mount["name"] for mount in main["volumeMounts"]]
    mounts = {mount["name"] for each in (before, main, after) for mount in each["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


def test_the_cluster_ends_it_when_nobody_asks_for_it_any_more() -> None:
    spec = job_of(lost_seconds=60)["spec"]
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (60, 60)
    assert job.lease(90)["spec"].keys() <= spec.keys()
    kept = job_of(keep=True)["spec"]
    assert not {"activeDeadlineSeconds", "ttlSecondsAfterFinished"} & set(kept)


def test_without_a_workspace() -> None:
    pod = pod_of(workspace=None)
    assert (pod["volumes"], pod["containers"][0]["volumeMounts"]) == ([], [])


def test_no_word_is_one_of_kubernetes() -> None:
    """It would put `$(VAR)` in for what the shell of the container is meant to read."""
    main = main_of(command=("echo", "$(HOME) $$ $x"), variables={"A": "$(B)"}, entrypoint="$0")
    assert main["args"] == ["echo", "$$(HOME) $$$$ $$x"]
    assert main["env"][0]["value"] == "$$(B)"
    assert main["command"] == ["$$0"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Not-This"}, "--name"),
        ({"name": "x" * 54}, "--name"),
        ({"image": ""}, "image"),
        ({"variables": {"A B": "1"}}, "--env"),
        ({"limits": {"memory": "much"}}, "--limit-memory"),
        ({"requests": {"cpu": "-1"}}, "--request-cpu"),
        ({"workspace": None, "sync": Path("/")}, "--sync"),
        ({"sync": Path("/nowhere/at/all")}, "--sync"),
        ({"workspace": "relative"}, "--workspace-mount"),
        ({"workspace": "/"}, "--workspace-mount"),
        ({"workspace": "/a/../b"}, "--workspace-mount"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_made(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        Asked(**({"name": "run-1", "image": "image"} | wrong))


def test_durations() -> None:
    assert [seconds_of(each) for each in ("90", "90s", "30m", "2h", "1d")] == [
        90,
        90,
        1800,
        7200,
        86_400,
    ]
    for wrong in ("", "0", "-1s", "1.5h", "soon"):
        with pytest.raises(Invalid):
            seconds_of(wrong)


def test_an_env_file_as_docker_reads_it() -> None:
    lines = "# a comment\n\nA=1\n  B=two words = 2\nC=\n"
    assert variables_of(lines) == {"A": "1", "B": "two words = 2", "C": ""}
    with pytest.raises(Invalid, match="D"):
        variables_of("A=1\nD\n")
