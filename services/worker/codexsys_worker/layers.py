"""Names for what may be kept of a sandbox: equal names mean equal inputs, so equal results.

A setup script may read any file of the base, run any code in it (`pip install -e .` does) and
look at its history, so a result is kept for exactly this commit of exactly this tree. Lock files
alone would not do: a change that touches none of them could leave something in the layer for the
next task, and a verdict that stands on it. The same holds for everything else that setup sees:
scripts, variables, secrets, proxy, mirrors, certificates, network, image, services and place.
What cannot be named, the world outside, is bounded by time: names change every few hours.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codexsys_core.clock import Clock
from codexsys_core.provision import Provision
from codexsys_core.secret import SecretBox
from codexsys_worker.work import Prepared, Work

_FORM = 2
"""Raised whenever a sandbox is laid out in another way than before."""
_SETUP = "setup"


def holds_setup(layer: str | None) -> bool:
    """Say whether a kept layer holds what setup's scripts made, too; under whatever name."""
    return layer is not None and layer.startswith(f"{_SETUP}-")


@dataclass(frozen=True)
class Layers:
    """What an attempt's sandboxes may stand on, and keep."""

    base: str | None = None
    """The base laid out; None where nothing may be kept."""
    setup: str | None = None
    """With setup's scripts run on it; None where there is none to run."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the names, the best first."""
        return tuple(name for name in (self.setup, self.base) if name is not None)


class LayerNames:
    """Names layers. They are keyed hashes: nobody can guess one, or guess a secret from one."""

    def __init__(self, *, secrets: SecretBox, clock: Clock, place: str, hours: float) -> None:
        self._secrets = secrets
        self._clock = clock
        self._place = place
        self._hours = hours

    def of(
        self, work: Work, prepared: Prepared, provision: Provision, clear: Mapping[str, str]
    ) -> Layers:
        """Return the names for an attempt: taken once, so that all its sandboxes stand on the same."""
        environment = work.spec.environment
        if not (environment.cache and self._hours):
            return Layers()
        ground = {
            "form": _FORM,
            "tenant": work.task.tenant_id,
            "place": self._place,
            "image": environment.image,
            "commit": prepared.base.commit,
            "tree": prepared.base.tree,
            "shallow": self._shallow(work),
            "home": {path: data.decode() for path, data in provision.home_files.items()},
        }
        base = self._named("base", ground)
        if environment.setup is None and not prepared.has_setup:
            return Layers(base=base)
        seen = {
            "environment": environment.model_dump(
                mode="json", exclude={"checks", "cache", "setup_variables"}
            ),
            "secrets": dict(clear),
            "provision": provision.model_dump(mode="json"),
            "until": int(self._clock.now().timestamp() // (self._hours * 3600)),
        }
        return Layers(base=base, setup=self._named(_SETUP, ground | seen))

    def _named(self, kind: str, inputs: Mapping[str, Any]) -> str:
        text = json.dumps([kind, inputs], sort_keys=True, separators=(",", ":"))
        return f"{kind}-{self._secrets.digest(text)}"

    def _shallow(self, work: Work) -> str:
        """Return what tells how much history there is; it is laid out with the base."""
        file = work.base_dir / "shallow"
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""
