"""A node of the cluster that is there in name: beside it, one that falls silent is lost, and not the whole cluster."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from tests.support.cluster import kubectl

_NAME = "codexsys-other"
_LEASES = "kube-node-lease"
_EVERY_SECONDS = 3.0
_READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "said by a test"}


@contextmanager
def other_node() -> Iterator[None]:
    """Keep such a node ready; nothing is scheduled to it."""
    over = threading.Event()
    renewing = threading.Thread(target=_renew, args=(over,))
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": _NAME},
        "spec": {"unschedulable": True},
    }
    kubectl("create", "-f", "-", feed=json.dumps(node))
    renewing.start()
    try:
        status = json.dumps({"status": {"conditions": [_READY | {"lastHeartbeatTime": _now()}]}})
        kubectl("patch", "node", _NAME, "--subresource=status", "--type=merge", "-p", status)
        yield
    finally:
        over.set()
        renewing.join()
        kubectl("delete", "node", _NAME)


def _renew(over: threading.Event) -> None:
    """Say that the node lives, as its kubelet would."""
    while not over.wait(_EVERY_SECONDS):
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": _NAME, "namespace": _LEASES},
            "spec": {"holderIdentity": _NAME, "leaseDurationSeconds": 16, "renewTime": _now()},
        }
        kubectl("apply", "-f", "-", feed=json.dumps(lease))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
