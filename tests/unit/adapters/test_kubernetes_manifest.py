"""The Job of a sandbox, as the API's own schema and the rules of Kubernetes see it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import V1Job, V1Secret

from codexsys_adapters.kubernetes import manifest
from codexsys_adapters.kubernetes.manifest import Wanted
from codexsys_adapters.kubernetes.site import Site
from codexsys_core.environment import EnvironmentService
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import SandboxLimits, SandboxRole, SandboxSpec

TOKEN = "sbt-of-this-sandbox"
SITE = Site(
    platform="0123456789abcdef",
    namespace="sandboxes",
    tools="codexsys/tools:1",
    gateways=("http://10.0.0.7:8090", "http://10.0.0.8"),
    allow=("10.1.0.0/16:443",),
    deny=("10.0.0.9",),
)


def spec_of(**more: Any) -> SandboxSpec:
    given: dict[str, Any] = {
        "id": TimeOrderedIds().new("sbx"),
        "task_id": "task_1",
        "tenant_id": "tenant_1",
        "role": SandboxRole.AGENT,
        "limits": SandboxLimits(cpus=1.5, memory_mb=1024, disk_mb=2048, pids=64),
        "seconds": 900.5,
        "token": TOKEN,
    }
    return SandboxSpec(**(given | more))


def job_of(site: Site = SITE, **more: Any) -> dict[str, Any]:
    return manifest.job(site, Wanted(spec_of(**more), "someones/image:2", 123_456))


def pod_in(job: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def containers(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from pod_in(job)["initContainers"]
    yield from pod_in(job)["containers"]


def named(job: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in containers(job) if each["name"] == name)


def test_the_schema_of_the_api_takes_it() -> None:
    V1Job.model_validate(job_of())
    V1Job.model_validate(job_of(token=None, role=SandboxRole.VERIFY))
    V1Secret.model_validate(manifest.secret(SITE, spec_of(), "uid-1"))


def test_what_stands_in_for_the_row() -> None:
    spec = spec_of()
    job = manifest.job(SITE, Wanted(spec, "image", 100_000))
    name = spec.id.replace("_", "-")
    assert job["metadata"]["name"] == name
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        own = {key: value for key, value in labels.items() if key.startswith("codexsys.dev/")}
        assert own == {
            "codexsys.dev/platform": SITE.platform,
            "codexsys.dev/sandbox": spec.id,
            "codexsys.dev/task-id": "task_1",
            "codexsys.dev/role": "agent",
        }
    secret = manifest.secret(SITE, spec, "uid-1")
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": "uid-1"}
    assert (secret["metadata"]["name"], secret["metadata"]["ownerReferences"]) == (name, [owner])
    assert secret["stringData"] == {"token": TOKEN}


def test_it_runs_once_and_goes_by_itself() -> None:
    job = job_of()
    told = {key: job["spec"][key] for key in ("backoffLimit", "completions", "parallelism")}
    assert told == {"backoffLimit": 0, "completions": 1, "parallelism": 1}
    assert job["spec"]["ttlSecondsAfterFinished"] == 60
    pod = pod_in(job)
    assert pod["restartPolicy"] == "Never"
    assert pod["activeDeadlineSeconds"] == 900 + 600


def test_the_order_of_what_it_goes_through() -> None:
    order = [
        "prepare", "keeper", "rules-closed", "workspace", "rules-open", "setup", "rules-locked", "door",
        "agent", "reader", "collector",
    ]  # fmt: skip
    assert [each["name"] for each in containers(job_of())] == order
    plain = [each["name"] for each in containers(job_of(token=None))]
    order.remove("door")
    assert plain == [name.replace("rules-locked", "rules-closed-again") for name in order]
    stay = [each["name"] for each in containers(job_of()) if each.get("restartPolicy") == "Always"]
    assert stay == ["keeper", "door"]


WORDS = EnvironmentService(
    name="words",
    image="someones/server:3",
    port=5432,
    command=("serve", "$(NODE)"),
    variables={"WORD": "$HOME"},
)


@pytest.mark.parametrize("token", [TOKEN, None])
def test_a_service_is_there_once_the_network_is_locked(token: str | None) -> None:
    job = job_of(token=token, services=(WORDS,))
    V1Job.model_validate(job)
    order = [each["name"] for each in containers(job)]
    assert order[order.index("service-words") - 1].startswith("rules-")
    assert set(order[order.index("service-words") + 1 :]) <= {"door", *manifest.LAST}
    made = named(job, "service-words")
    assert (made["image"], made["restartPolicy"]) == ("someones/server:3", "Always")
    assert made["command"] == ["serve", "$$(NODE)"]
    assert {"name": "WORD", "value": "$$HOME"} in made["env"]
    assert {each["name"] for each in made["volumeMounts"]} == {"tmp-service-words"}
    user = made["securityContext"]["runAsUser"]
    assert user not in {
        each["securityContext"]["runAsUser"] for each in containers(job) if each is not made
    }
    told = json.loads(named(job, "keeper")["command"][-1])
    assert told["services"] == [["words", 5432]]
    assert user not in told["users"].values()


def test_nothing_of_the_cluster_is_inside() -> None:
    pod = pod_in(job_of())
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & pod.keys()
    assert {kind for volume in pod["volumes"] for kind in volume} == {"name", "emptyDir", "secret"}
    assert all(each["emptyDir"]["sizeLimit"] for each in pod["volumes"] if "emptyDir" in each)


def test_the_door_alone_has_the_token() -> None:
    job = job_of()
    mounted = [each["name"] for each in containers(job) if "token" in mounts(each)]
    assert mounted == ["door"]
    assert TOKEN not in json.dumps(job)
    assert job["spec"]["suspend"] is True
    without = job_of(token=None)
    assert without["spec"]["suspend"] is False
    assert "secret" not in json.dumps(pod_in(without))


def test_who_may_write_where() -> None:
    job = job_of()
    writable = {
        name: {
            mount["mountPath"].removeprefix("/app/")
            for mount in named(job, name)["volumeMounts"]
            if not mount["readOnly"] and mount["mountPath"].startswith("/app/")
        }
        for name in ("workspace", "setup", "agent", "reader", "collector")
    }
    everything, kept = {"code", "output", "home"}, {"output", "home"}
    assert writable == {
        "workspace": everything,
        "setup": everything,
        "agent": everything,
        "reader": kept,
        "collector": set(),
    }
    kept_by = [each["name"] for each in containers(job) if "kept" in mounts(each)]
    assert kept_by == ["keeper"]


@pytest.mark.parametrize("token", [TOKEN, None])
def test_every_container_but_the_rules_is_restricted(token: str | None) -> None:
    for container in containers(job_of(token=token, services=(WORDS,))):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "privileged" not in security
        if container["name"].startswith("rules-"):
            assert security["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
            assert container["volumeMounts"] == []
            assert [each["name"] for each in container["env"]] == ["NODE"]
        else:
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["runAsNonRoot"] is True
            assert security["runAsUser"] >= 10_000


def test_users_of_their_own() -> None:
    job = job_of()
    users = {each["name"]: each["securityContext"]["runAsUser"] for each in containers(job)}
    own = {name: users.pop(name) for name in ("keeper", "door")}
    assert len({*own.values(), *users.values()}) == 4  # and root, for the rules alone
    assert {users[name] for name in ("workspace", "setup", "agent", "collector")} == {123_456}


def test_everything_is_bounded() -> None:
    job = job_of(services=(WORDS,))
    for container in containers(job):
        for kind in ("limits", "requests"):
            assert container["resources"][kind].keys() == {"cpu", "memory", "ephemeral-storage"}
    agent = named(job, "agent")["resources"]
    assert agent["limits"] == {"cpu": "1500m", "memory": "1056Mi", "ephemeral-storage": "2048Mi"}


def test_the_rules_are_told_the_gateways_and_nothing_of_the_task() -> None:
    job = job_of()
    locked = json.loads(named(job, "rules-locked")["command"][-1])
    assert locked == {"kind": "locked", "user": 20001, "gateways": ["10.0.0.7:8090", "10.0.0.8:80"]}
    opened = json.loads(named(job, "rules-open")["command"][-1])
    assert opened == {"kind": "open", "allow": ["10.1.0.0/16:443"], "deny": ["10.0.0.9", "$(NODE)"]}
    assert named(job, "door")["command"][-2:] == list(SITE.gateways)


def test_where_the_operator_wants_it() -> None:
    site = Site(
        platform="p",
        namespace="n",
        tools="t",
        node_selector={"pool": "sandboxes"},
        tolerations=({"key": "sandboxes", "operator": "Exists"},),
        runtime_class="gvisor",
        pull_secrets=("registry",),
        priority_class="low",
    )
    job = job_of(site)
    V1Job.model_validate(job)
    pod = pod_in(job)
    assert pod["nodeSelector"] == {"pool": "sandboxes"}
    assert pod["tolerations"][0] == {"key": "sandboxes", "operator": "Exists"}
    assert (pod["runtimeClassName"], pod["priorityClassName"]) == ("gvisor", "low")
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert not {"nodeSelector", "runtimeClassName"} & pod_in(job_of()).keys()


def test_a_disk_of_its_own() -> None:
    site = Site(platform="p", namespace="n", tools="t", storage_class="fast")
    job = job_of(site)
    V1Job.model_validate(job)
    volume = next(each for each in pod_in(job)["volumes"] if each["name"] == "files")
    claim = volume["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim["resources"] == {"requests": {"storage": "2048Mi"}}
    assert (claim["storageClassName"], claim["accessModes"]) == ("fast", ["ReadWriteOnce"])
    assert pod_in(job)["securityContext"]["fsGroup"] == 123_456
    assert "fsGroup" not in pod_in(job_of())["securityContext"]


def mounts(container: dict[str, Any]) -> set[str]:
    return {mount["name"] for mount in container["volumeMounts"]}
