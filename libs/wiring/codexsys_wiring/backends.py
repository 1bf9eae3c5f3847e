"""Makes the sandbox backend that a host's worker uses, by settings."""

import hashlib
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from codexsys_core.sandbox import SandboxBackend
from codexsys_wiring.crash import crashing_backend
from codexsys_wiring.models import read_catalogue
from codexsys_wiring.settings import ConfigurationError, Settings


def open_backend(settings: Settings) -> SandboxBackend:
    """Make the backend that this host's worker uses."""
    return crashing_backend(_backend(settings))


def _backend(settings: Settings) -> SandboxBackend:
    root = settings.data_dir / "sandboxes"
    if settings.sandbox == "dummy":
        from codexsys_adapters.dummy import DummyBackend

        return DummyBackend(root)
    if settings.sandbox == "none":
        from codexsys_adapters.bare import BareBackend

        return BareBackend(
            root,
            gateway_urls=settings.gateway_urls,
            agent_code=agent_code(),
            python=Path(sys.base_prefix),
            wheels=wheels(settings),
        )
    if settings.sandbox == "local":
        from codexsys_adapters.local.backend import LocalBackend

        return LocalBackend(
            root,
            gateway_urls=settings.gateway_urls,
            agent_code=agent_code(),
            wheels=wheels(settings),
            deny_addresses=_server_hosts(settings),
            setup_allow=settings.setup_networks,
        )
    if settings.sandbox == "docker":
        from codexsys_adapters.docker.backend import DockerBackend

        sockets = settings.sockets or settings.data_dir
        sockets.mkdir(mode=0o755, parents=True, exist_ok=True)  # doors may be there before gateways
        return DockerBackend(
            root,
            host=settings.docker_host,
            sockets=sockets,
            agent_code=agent_code(),
            bundles=settings.data_dir / "bundles",
            platform=_platform(settings),
            image=settings.sandbox_image,
            allowed=settings.sandbox_images or [settings.sandbox_image],
            wheels=wheels(settings),
            deny_addresses=_server_hosts(settings),
            setup_allow=settings.setup_networks,
        )
    return _in_cluster(settings)


def _in_cluster(settings: Settings) -> SandboxBackend:
    from codexsys_adapters.kubernetes.backend import KubernetesBackend
    from codexsys_adapters.kubernetes.cluster import Cluster
    from codexsys_adapters.kubernetes.site import Site

    site = Site(
        platform=_platform(settings),
        namespace=settings.kubernetes_namespace,
        tools=settings.kubernetes_tools,
        gateways=tuple(_by_address(url) for url in settings.gateway_urls),
        allow=tuple(settings.setup_networks),
        deny=tuple(_server_hosts(settings)),
        node_selector=settings.kubernetes_node_selector,
        tolerations=tuple(settings.kubernetes_tolerations),
        runtime_class=settings.kubernetes_runtime_class,
        pull_secrets=tuple(settings.kubernetes_pull_secrets),
        priority_class=settings.kubernetes_priority_class,
        storage_class=settings.kubernetes_storage_class,
        start_seconds=settings.kubernetes_start_seconds,
    )
    return KubernetesBackend(
        Cluster(settings.kubernetes_config, settings.kubernetes_context),
        site,
        image=settings.sandbox_image,
        allowed=settings.sandbox_images or [settings.sandbox_image],
    )


def _platform(settings: Settings) -> str:
    """Return what tells several platforms apart where sandboxes are: the one that has this database."""
    return hashlib.sha256(settings.database.encode()).hexdigest()[:16]


def _by_address(url: str) -> str:
    """Return a gateway's URL with an IPv4 address as its host: a sandbox's pod asks no name server."""
    parts = urlsplit(url)
    found = sorted(each for each in _addresses(parts.hostname or "") if ":" not in each)
    if not found:
        raise ConfigurationError([f"CODEXSYS_GATEWAY_URL: {url} has no IPv4 address"])
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{found[0]}{port}").geturl()


def agent_code() -> Path:
    """Return the folder that holds the agent's package."""
    import importlib.util

    found = importlib.util.find_spec("codexsys_agent")
    if found is None or found.origin is None:
        raise ConfigurationError(["the agent's package is not installed"])
    return Path(found.origin).parent.parent


def wheels(settings: Settings) -> Path | None:
    """Return the folder of wheels that sandboxes see: the named one, or the one that set-up laid down."""
    laid_down = (settings.data_dir / "wheels", Path(sys.prefix) / "share/codexsys/wheels")
    folders = (settings.sandbox_wheels,) if settings.sandbox_wheels else laid_down
    return next((folder for folder in folders if folder.is_dir()), None)


def _server_hosts(settings: Settings) -> list[str]:
    """Return the addresses of all configured servers: setup must not reach them."""
    urls = [
        settings.database,
        settings.redis_url,
        settings.store,
        *(upstream.url for upstream in read_catalogue(settings).upstreams),
        *settings.gateway_urls,
    ]
    if settings.queue_url.startswith("kafka://"):
        urls += [
            f"kafka://{part}" for part in settings.queue_url.removeprefix("kafka://").split(",")
        ]
    hosts = {host for url in urls if (host := urlsplit(url).hostname)}
    return sorted({address for host in hosts for address in _addresses(host)})


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)}
    except socket.gaierror:
        raise ConfigurationError([f"the configured server {host} has no address"]) from None
