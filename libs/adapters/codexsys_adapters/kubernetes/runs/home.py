"""Which namespace a run is in when nobody says."""

from pathlib import Path

from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.kube_config import list_kube_config_contexts

from codexsys_core.errors import Invalid

_OWN = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT = "default"


def namespace_of(kubeconfig: Path | None, context: str | None) -> str:
    """Return that of the context, or of the pod that this process is in."""
    if kubeconfig is None and context is not None:
        raise Invalid("--context: there is no kubeconfig here that could have one")
    if kubeconfig is None:
        return _OWN.read_text().strip() if _OWN.is_file() else _DEFAULT
    try:
        contexts, current = list_kube_config_contexts(str(kubeconfig))
    except ConfigException as error:
        raise Invalid(f"The kubeconfig cannot be read: {error}") from error
    for each in contexts:
        if each["name"] == (context or current["name"]):
            return str(each["context"].get("namespace") or _DEFAULT)
    raise Invalid(f"--context: the kubeconfig has no {context}")
