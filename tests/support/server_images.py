"""Images under the names of the servers' own, made here: no registry is needed."""

import os
import shutil
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from tests.support.images import REPOSITORY, docker

HERE = Path(__file__).parent / "servers"
IMAGE = "codexsys/servers:test"
_STACK = Path(os.environ.get("CODEXSYS_STACK_DIR") or Path.home() / ".cache/codexsys-stack")


def names() -> dict[str, str]:
    """Return which image each server of docker-compose.yml has."""
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    return {name: services[name]["image"] for name in ("mysql", "redis", "kafka", "minio")}


def build_servers(base: str, folder: Path) -> list[str]:
    """Build them from what the stack has installed; return their names."""
    for name in ("Dockerfile", "serve"):
        shutil.copy(HERE / name, folder)
    shutil.copy(REPOSITORY / "tests/stack/kafka/log4j2.properties", folder)
    (kafka,), (minio,) = _STACK.glob("lib/kafka-[0-9]*"), _STACK.glob("lib/minio-*/minio")
    shutil.copytree(kafka, folder / "kafka")
    shutil.copy(minio, folder)
    docker("build", "--network", "host", "--build-arg", f"BASE={base}", "-t", IMAGE, str(folder))
    for server, name in names().items():
        lines = f'FROM {IMAGE}\nENTRYPOINT ["serve", "{server}"]\n'
        docker("build", "-t", name, "-", feed=lines.encode())
    return list(names().values())
