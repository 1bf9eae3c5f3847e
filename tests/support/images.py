"""Images as an operator builds them, with the engine of tests."""

import os
import subprocess
from pathlib import Path

from tests.support.distributed import required

REPOSITORY = Path(__file__).parents[2]
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
BASE = "codexsys/base:built"


def docker(*words: str, feed: bytes | None = None, check: bool = True) -> str:
    argv = ["docker", "--host", required("CODEXSYS_TEST_DOCKER_HOST"), *words]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        argv, input=feed, env=environment, cwd=REPOSITORY, capture_output=True, check=False
    )
    assert not check or done.returncode == 0, (done.stdout[-3000:] + done.stderr[-1000:]).decode()
    return (done.stdout + done.stderr).decode()


def trusting_base(folder: Path) -> str:
    """Make the stack's base with the certificates that this machine trusts: mirrors may need them."""
    (folder / "authorities").write_bytes(AUTHORITIES.read_bytes())
    lines = [f"FROM {required('CODEXSYS_TEST_IMAGE')}", f"COPY authorities {AUTHORITIES}"]
    (folder / "Dockerfile").write_text("\n".join(lines))
    docker("build", "-t", BASE, str(folder))
    return BASE


def build(name: str, dockerfile: str, context: str, base: str) -> str:
    index = os.environ.get("PIP_INDEX_URL")
    arguments = [f"BASE={base}", "REVISION=0123abc"]
    arguments += [f"PIP_INDEX_URL={index}"] if index and "services" in dockerfile else []
    given = [word for argument in arguments for word in ("--build-arg", argument)]
    file = f"deploy/images/{dockerfile}"
    docker("build", "--network", "host", "-f", file, "-t", name, *given, context)
    return name
