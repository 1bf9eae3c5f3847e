"""Which adapters a contract suite runs over: the embedded ones always, real ones where servers are named.

`CODEXSYS_REQUIRE=all` turns a server that is not named into a failing test.
"""

import os
from collections.abc import Sequence

REDIS = "CODEXSYS_TEST_REDIS_URL"
KAFKA = "CODEXSYS_TEST_KAFKA"
S3_URL = "CODEXSYS_TEST_S3_URL"
S3_KEY = "CODEXSYS_TEST_S3_KEY"
S3_SECRET = "CODEXSYS_TEST_S3_SECRET"
DOCKER = "CODEXSYS_TEST_DOCKER_HOST"
IMAGE = "CODEXSYS_TEST_IMAGE"
SMALL_IMAGE = "CODEXSYS_TEST_SMALL_IMAGE"
KUBECONFIG = "CODEXSYS_TEST_KUBECONFIG"
KUBECTL = "CODEXSYS_TEST_KUBECTL"
COMPOSE = "CODEXSYS_TEST_COMPOSE"
NODE = "CODEXSYS_TEST_NODE_IP"


def adapters(embedded: str, real: str, *variables: str) -> Sequence[str]:
    """Return the names of the adapters to run over."""
    named = all(os.environ.get(variable) for variable in variables)
    required = os.environ.get("CODEXSYS_REQUIRE") == "all"
    return (embedded, real) if named or required else (embedded,)


def must_have(variable: str) -> str:
    """Return a server's setting; its absence fails the test."""
    value = os.environ.get(variable, "")
    assert value, f"{variable} is not set, and CODEXSYS_REQUIRE=all wants its server"
    return value
