"""deploy/kubernetes/run: everything that it names is there, and the two ways are the same pod."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from tests.support.kubernetes_fields import unknown
from typer.testing import CliRunner

from codexsys_cli.foreground.order import SECRET_VARIABLES, VARIABLES
from codexsys_cli.main import app

ROOT = Path(__file__).parents[2] / "deploy/kubernetes/run"
FILES = sorted(ROOT.rglob("*.yaml"))
KINDS = {
    "Job": "V1Job",
    "CronJob": "V1CronJob",
    "Secret": "V1Secret",
    "ConfigMap": "V1ConfigMap",
    "NetworkPolicy": "V1NetworkPolicy",
}


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def job_of(kind: str) -> Any:
    found = read(f"{kind}/{kind}.yaml")
    return found["spec"]["jobTemplate"]["spec"] if kind == "cronjob" else found["spec"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_field_is_one_that_kubernetes_knows(path: Path) -> None:
    found = yaml.safe_load(path.read_text())
    if path.name == "kustomization.yaml":
        assert found["kind"] == "Kustomization"
        for name in found["resources"]:
            there = path.parent / name
            assert there.is_file() or (there / "kustomization.yaml").is_file()
        return
    assert found["metadata"]["name"] == "codexsys-run"
    assert list(unknown(found, KINDS[found["kind"]], found["kind"])) == []


def test_variables_are_ours_and_secrets_are_in_the_secret() -> None:
    plain, secret = (
        read("settings/configmap.yaml")["data"],
        read("settings/secret.yaml")["stringData"],
    )
    assert set(plain) <= VARIABLES - SECRET_VARIABLES
    assert set(secret) <= SECRET_VARIABLES
    assert set(secret.values()) == {"change-me"}
    assert all(isinstance(value, str) for value in plain.values())


def test_job_and_cron_job_are_the_same_pod() -> None:
    job = job_of("job")
    assert job == job_of("cronjob")
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    volumes = {each["name"] for each in pod["volumes"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    assert {"/app", "/tmp", read("settings/configmap.yaml")["data"]["WORKSPACE_DIR"]} <= {
        each["mountPath"] for each in container["volumeMounts"]
    }
    again = job["podFailurePolicy"]["rules"][0]["onExitCodes"]
    assert (again["operator"], again["values"], again["containerName"]) == ("NotIn", [1], "run")
    policy = read("settings/networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= job["template"]["metadata"]["labels"].items()


def test_its_words_are_understood() -> None:
    (container,) = job_of("job")["template"]["spec"]["containers"]
    done = CliRunner().invoke(app, [*container["args"], "--help"])
    assert (done.exit_code, container["args"][0]) == (0, "run")
