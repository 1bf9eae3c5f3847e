"""What the user wants, as a request."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codexsys_cli.commands_environments import environment_id
from codexsys_cli.output import Exit, fail
from codexsys_cli.pack import NothingToPack, pack
from codexsys_client import Client, Task
from codexsys_client.sending import Progress


@dataclass(frozen=True)
class Wishes:
    """The flags of `submit`."""

    source: str
    prompt: str
    ref: str | None = None
    mode: str = "modify"
    checks: str | None = None
    setup: str | None = None
    environment: str | None = None
    """Id or name of a kept one."""
    model: str | None = None
    engine: str = "builtin"
    command: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    clarify: str | None = None
    limits: dict[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the create body without its source; what was not said is left out."""
        body: dict[str, Any] = {"prompt": self.prompt, "mode": self.mode, "engine": self.engine}
        if self.checks is not None:
            body["checks"] = {"command": self.checks}
        if self.setup is not None:
            body["environment"] = {"setup": self.setup}
        for name in ("model", "command", "labels", "clarify", "limits"):
            if getattr(self, name):
                body[name] = getattr(self, name)
        return body


def hand_in(
    client: Client,
    wishes: Wishes,
    *,
    idempotency_key: str | None = None,
    progress: Progress | None = None,
) -> Task:
    """Submit by URL, or send the folder or zip."""
    body, place = wishes.body(), Path(wishes.source)
    if wishes.environment is not None:
        if wishes.setup is not None:
            fail("--setup and --environment", "take one of them", exit_code=Exit.USAGE)
        body["environment"] = environment_id(client, wishes.environment)
    if "://" in wishes.source:
        git = {"url": wishes.source} | ({"ref": wishes.ref} if wishes.ref else {})
        return client.submit(body | {"source": {"git": git}}, idempotency_key=idempotency_key)
    if wishes.ref:
        fail("--ref goes with a Git URL", "a folder is sent as it is", exit_code=Exit.USAGE)
    if place.is_file():
        return client.submit(body, file=place, idempotency_key=idempotency_key, progress=progress)
    if not place.is_dir():
        fail(f"{wishes.source} is neither a URL nor a folder nor a zip", exit_code=Exit.USAGE)
    with tempfile.TemporaryDirectory(prefix="codexsys-submit-") as folder:
        archive = Path(folder) / f"{place.resolve().name or 'code'}.zip"
        try:
            pack(place.resolve(), archive)
        except NothingToPack as error:
            fail(str(error), code="nothing_to_send", exit_code=Exit.USAGE)
        return client.submit(body, file=archive, idempotency_key=idempotency_key, progress=progress)
