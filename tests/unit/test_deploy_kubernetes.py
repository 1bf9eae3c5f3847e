"""deploy/kubernetes: what everything in it must be, told from its files."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from tests.support.kubernetes_fields import unknown

from codexsys_wiring.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2] / "deploy/kubernetes"
OVERLAYS = ("local", "external", "autoscale")
MODELS = {
    "Namespace": "V1Namespace",
    "ServiceAccount": "V1ServiceAccount",
    "Role": "V1Role",
    "RoleBinding": "V1RoleBinding",
    "Deployment": "V1Deployment",
    "StatefulSet": "V1StatefulSet",
    "Job": "V1Job",
    "Service": "V1Service",
    "PodDisruptionBudget": "V1PodDisruptionBudget",
    "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
    "NetworkPolicy": "V1NetworkPolicy",
    "Ingress": "V1Ingress",
}
NOT_OURS = {"TriggerAuthentication", "ScaledObject"}
OURS = ("codexsys-api", "codexsys-gateway", "codexsys-worker", "codexsys-relay", "codexsys-migrate")
GENERATED = {"configMapGenerator": "ConfigMap", "secretGenerator": "Secret"}


def built(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what a kustomization names; patches are not made (`make kubernetes` builds it for real)."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in (*kustomization.get("resources", ()), *kustomization.get("components", ())):
        if (folder / name).is_dir():
            yield from built((folder / name).resolve())
        else:
            yield from yaml.safe_load_all((folder / name).read_text())
    for generator, kind in GENERATED.items():
        for each in kustomization.get(generator, ()):
            data = {key: value for file in each["envs"] for key, value in lines_of(folder / file)}
            named = {"name": each["name"], "namespace": each["namespace"]}
            yield {"kind": kind, "metadata": named, "data": data}


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield an env file's variables; of one that git ignores, its example's."""
    found = path if path.is_file() else path.with_name(path.name + ".example")
    for line in found.read_text().splitlines():
        name, known, value = line.partition("=")
        assert known, line
        yield name, value


@cache
def overlay(name: str) -> list[dict[str, Any]]:
    return list(built(ROOT / "overlays" / name))


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield each workload's name, its object and its pod."""
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield each["metadata"]["name"], each, each["spec"]["template"]["spec"]


def every_pod() -> list[Any]:
    return [
        pytest.param(each, pod, id=f"{name}-{which}")
        for name in OVERLAYS
        for which, each, pod in pods(overlay(name))
    ]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_field_is_one_that_kubernetes_knows(name: str) -> None:
    for each in overlay(name):
        kind = each["kind"]
        if kind in MODELS:
            place = f"{kind}/{each['metadata']['name']}"
            assert list(unknown(each, MODELS[kind], place)) == []
        else:
            assert kind in NOT_OURS | set(GENERATED.values())


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_two_things_have_the_same_name_and_all_are_in_our_namespaces(name: str) -> None:
    objects = [each for each in overlay(name) if each["kind"] != "ConfigMap"]
    names = [(each["kind"], each["metadata"]["name"]) for each in objects if each["kind"] in MODELS]
    assert len(names) == len(set(names))
    spaces = {each["metadata"].get("namespace") for each in objects if each["kind"] != "Namespace"}
    assert spaces == {"codexsys", "codexsys-sandboxes"}


@pytest.mark.parametrize(("each", "pod"), every_pod())
def test_a_pod_is_held_as_the_restricted_standard_wants_it(
    each: dict[str, Any], pod: dict[str, Any]
) -> None:
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is (each["metadata"]["name"] == "codexsys-worker")
    whole = pod["securityContext"]
    assert (whole["runAsNonRoot"], whole["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert whole["runAsUser"] > 0
    for container in pod["containers"]:
        held = container["securityContext"]
        assert held["allowPrivilegeEscalation"] is False
        assert held["capabilities"] == {"drop": ["ALL"]}
        ours = each["metadata"]["name"] in OURS
        assert held.get("readOnlyRootFilesystem", False) is ours
        assert {"memory", "ephemeral-storage"} <= set(container["resources"]["limits"])
        assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"]["requests"])
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert ":latest" not in container["image"] or "imagePullPolicy" in container


@pytest.mark.parametrize(("each", "pod"), every_pod())
def test_a_service_is_probed_spread_and_given_time(
    each: dict[str, Any], pod: dict[str, Any]
) -> None:
    if each["kind"] == "Job":
        assert each["spec"]["ttlSecondsAfterFinished"] > 0
        return
    (container,) = pod["containers"]
    ports = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe].get("httpGet") or container[probe]["tcpSocket"]
        assert asked["port"] in ports
    if each["kind"] == "Deployment":
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"  # asks no other part
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert len(pod["topologySpreadConstraints"]) == 2
        assert each["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        served = container["name"] in ("api", "gateway")
        defaults = Settings.model_fields
        drain, grace = defaults["drain_seconds"].default, defaults["grace_seconds"].default
        needed = drain + grace if served else 20
        assert pod["terminationGracePeriodSeconds"] > needed


def of_kind(name: str, *kinds: str) -> list[dict[str, Any]]:
    return [each for each in overlay(name) if each["kind"] in kinds]


def ports_of(name: str) -> dict[str, set[str]]:
    """Return the names of the ports of each workload's containers."""
    return {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]: {
            port["name"] for container in pod["containers"] for port in container.get("ports", ())
        }
        for _, each, pod in pods(overlay(name))
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_is_selected_is_there(name: str) -> None:
    there = ports_of(name)
    for each in of_kind(name, "Service"):
        selected = each["spec"]["selector"]["app.kubernetes.io/name"]
        if selected == "codexsys-nobody":
            assert selected not in there
            continue
        for port in each["spec"]["ports"]:
            assert port["targetPort"] in there[selected]
    for each in of_kind(name, "PodDisruptionBudget"):
        assert each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in there
    for each in of_kind(name, "HorizontalPodAutoscaler", "ScaledObject"):
        assert each["spec"]["scaleTargetRef"]["name"] in there


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_ingress_leads_to_ports_that_are_there(name: str) -> None:
    served = {
        (each["metadata"]["name"], port["name"])
        for each in of_kind(name, "Service")
        for port in each["spec"]["ports"]
    }
    for each in of_kind(name, "Ingress"):
        for path in each["spec"]["rules"][0]["http"]["paths"]:
            backend = path["backend"]["service"]
            assert (backend["name"], backend["port"]["name"]) in served


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_a_pod_reads_is_there(name: str) -> None:
    there = {(each["kind"], each["metadata"]["name"]) for each in overlay(name)}
    for _, _, pod in pods(overlay(name)):
        assert ("ServiceAccount", pod["serviceAccountName"]) in there
        for source in pod["containers"][0].get("envFrom", ()):
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                assert key not in source or (kind, source[key]["name"]) in there


def test_an_upload_may_be_as_large_as_the_platform_takes() -> None:
    (uploads,) = [
        each
        for each in of_kind("external", "Ingress")
        if each["metadata"]["name"] == "codexsys-uploads"
    ]
    most = Settings.model_fields["max_upload_mb"].default + 1
    annotations = uploads["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{most}m"


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_is_set_are_settings_and_secrets_are_in_the_secret(name: str) -> None:
    """All of it together is a configuration that starts."""
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    for each in overlay(name):
        if each["metadata"]["name"] == "codexsys" and "data" in each:
            (plain if each["kind"] == "ConfigMap" else secret).update(each["data"])
    hidden = {"SECRET_KEY", "DATABASE_URL", "STORE_KEY", "STORE_SECRET", "MODEL_KEY"}
    assert not {PREFIX + each for each in hidden} & set(plain)
    assert "@" not in "".join(plain.values())
    given = {
        key.removeprefix(PREFIX).lower(): value
        for key, value in (plain | secret).items()
        if key.startswith(PREFIX)
    }
    assert set(given) <= set(Settings.model_fields)
    settings = Settings.model_validate(given)
    assert settings.sandbox == "kubernetes"
    assert settings.kubernetes_namespace == "codexsys-sandboxes"
    for url in (settings.gateway_url, settings.queue_url, settings.redis_url, settings.store_url):
        if found := re.search(r"//(codexsys-[a-z]+)\.codexsys\.svc\.cluster\.local:(\d+)", url):
            (service,) = [
                each
                for each in overlay(name)
                if each["kind"] == "Service" and each["metadata"]["name"] == found[1]
            ]
            assert int(found[2]) in [port["port"] for port in service["spec"]["ports"]]


def test_workers_alone_may_do_anything_in_the_cluster_and_only_what_they_do() -> None:
    (role,) = [each for each in overlay("local") if each["kind"] == "Role"]
    allowed = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert role["metadata"]["namespace"] == "codexsys-sandboxes"
    assert "*" not in json.dumps(role["rules"])
    assert ("secrets", "get") not in allowed
    assert ("pods", "create") not in allowed
    kinds = {each["kind"] for name in OVERLAYS for each in overlay(name)}
    assert not {"ClusterRole", "ClusterRoleBinding"} & kinds


def test_nobody_speaks_to_anybody_unless_it_is_said() -> None:
    policies = [each for each in overlay("local") if each["kind"] == "NetworkPolicy"]
    deny = [each for each in policies if each["metadata"]["name"] == "default-deny"]
    assert [each["spec"] for each in deny] == [
        {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ]
    (sandboxes,) = [
        each for each in policies if each["metadata"]["namespace"] == "codexsys-sandboxes"
    ]
    assert sandboxes["spec"]["ingress"] == []
    (gateway,) = [each for each in policies if each["metadata"]["name"] == "codexsys-gateway"]
    (asks,) = [each for each in policies if each["metadata"]["name"] == "codexsys-worker-asks"]
    assert {"podSelector": asks["spec"]["podSelector"]} in gateway["spec"]["ingress"][0]["from"]
    assert asks["spec"]["egress"][0]["to"] == [{"podSelector": gateway["spec"]["podSelector"]}]
    assert sandboxes["spec"]["podSelector"] == {}
    metadata = [
        block
        for each in policies
        for rule in each["spec"].get("egress", ())
        for to in rule.get("to", ())
        if (block := to.get("ipBlock")) and block["cidr"] == "0.0.0.0/0"
    ]
    assert metadata
    assert all("169.254.0.0/16" in block["except"] for block in metadata)


def test_no_secret_of_anybody_is_here() -> None:
    for path in ROOT.rglob("*.example"):
        for name, value in lines_of(path):
            assert "change-me" in value or name.endswith("STORE_KEY"), path
    tracked = {path.name for path in ROOT.rglob("*.env*")}
    assert "secrets.env.example" in tracked
