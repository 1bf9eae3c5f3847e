"""deploy/kubernetes on a real cluster, as an operator applies it."""

import shutil
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from tests.support.cluster import kubectl

pytestmark = pytest.mark.kubernetes

ROOT = Path(__file__).parents[2] / "deploy/kubernetes"


def filled_in(folder: Path) -> Path:
    """Return a copy of it whose env files are those of the examples."""
    made = folder / "kubernetes"
    shutil.copytree(ROOT, made)
    for example in made.rglob("*.env.example"):
        shutil.copy(example, example.with_suffix(""))
    return made


@pytest.mark.parametrize("name", ["local", "external", "autoscale"])
def test_an_overlay_is_built(name: str, tmp_path: Path) -> None:
    objects = list(
        yaml.safe_load_all(kubectl("kustomize", str(filled_in(tmp_path) / "overlays" / name)))
    )
    workers = next(
        each
        for each in objects
        if each["metadata"]["name"] == "codexsys-worker" and each["kind"] == "Deployment"
    )
    assert ("replicas" in workers["spec"]) is (name != "autoscale")
    (container,) = workers["spec"]["template"]["spec"]["containers"]
    read = [next(iter(source.values()))["name"] for source in container["envFrom"]]
    there = {each["metadata"]["name"] for each in objects}
    assert set(read) <= there
    assert all(each.startswith("codexsys-") for each in read)  # a new name with each new content
