"""What the operator of a cluster decided for all sandboxes in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
"""One of the cluster's own, as plain JSON."""


@dataclass(frozen=True)
class Site:
    """One namespace of one cluster, as one platform uses it."""

    platform: str
    """Tells several platforms in one namespace apart; a label's value."""
    namespace: str
    tools: str
    """The image of our own containers, which holds the bundle at /opt/codexsys."""
    gateways: tuple[str, ...] = ()
    """URLs whose host is an IPv4 address: pods have no name service."""
    allow: tuple[str, ...] = ()
    """`cidr:port` that an online phase may reach beside public addresses."""
    deny: tuple[str, ...] = ()
    """Addresses of the platform's servers, which it may not reach."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    runtime_class: str | None = None
    storage_class: str | None = None
    """Of the disk that each sandbox gets; without one its files are the node's, and only evicted when they are too many."""
    pull_secrets: tuple[str, ...] = ()
    priority_class: str | None = None
    lost_seconds: int = 90
    """How long a node may be lost until the cluster ends the pods on it: less than we wait for what is silent."""
    keep_seconds: int = 60
    """How long the cluster keeps a Job that has ended and that nobody deleted."""
    start_seconds: int = 600
    """How long images may take, beside the sandbox's own time, until the cluster ends the pod."""
