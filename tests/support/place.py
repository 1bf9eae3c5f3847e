"""A whole platform in one process, and what looks at what it leaves behind."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.api_service import free_port, zipped
from tests.support.enterable import make_enterable

from codexsys_core.attempt import Attempt
from codexsys_core.end_reasons import EndReason
from codexsys_core.environment import EnvironmentGiven
from codexsys_core.limits import Limits
from codexsys_core.principal import Tenant
from codexsys_core.sandbox import SandboxBackend
from codexsys_core.source import Source, ZipSource
from codexsys_core.task import Task, TaskSpec
from codexsys_gateway.main import Gateway
from codexsys_relay.main import relay_services
from codexsys_wiring.backends import open_backend
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.settings import Settings
from codexsys_worker.main import worker_services

LIMITS: dict[str, Any] = {"attempts": 1, "verify_rounds": 0, "wall_seconds": 60}


@dataclass
class Place:
    """A running platform and what looks at what it leaves."""

    platform: Platform
    folder: Path
    tenant: str = "tnt_ends"

    async def zip_source(self, files: dict[str, str]) -> ZipSource:
        data = zipped(files)
        name = f"codexsys-code/tmp_zips/{self.platform.ids.new('task')}/code.zip"
        await self.platform.objects.put(name, data)
        return ZipSource(object=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    async def submit(
        self, source: Source, *, retry_of: str | None = None, limits: Any = None, **spec: Any
    ) -> str:
        ids, now = self.platform.ids, self.platform.clock.now()
        spec = {
            "prompt": "Do it in README.md",
            "engine": "command",
            "command": "echo two >> README.md",
        } | spec
        chosen = Limits.model_validate(LIMITS | (limits or {}))
        task_id = ids.new("task")
        if isinstance(given := spec.get("environment"), EnvironmentGiven):
            spec["environment"] = given.sealed(self.platform.secrets, row=task_id)
        task = Task(
            id=task_id,
            tenant_id=self.tenant,
            created_by="key_ends",
            spec=TaskSpec(source=source, limits=chosen, **spec),
            retry_of=retry_of,
            created_at=now,
        )
        attempt = Attempt(id=ids.new("att"), task_id=task.id, tenant_id=self.tenant)
        await self.platform.tasks.add(task, attempt)
        return task.id

    async def until(self, task_id: str, *, phase: str = "", seconds: float = 60) -> Task:
        """Wait for the task's end, or for a phase."""
        async with asyncio.timeout(seconds):
            while True:
                task = await self.platform.tasks.get(task_id, tenant_id=self.tenant)
                if task.status.terminal or (phase and task.phase and task.phase.value == phase):
                    return task
                await asyncio.sleep(0.1)

    async def ended(self, source: Source, **spec: Any) -> Task:
        task = await self.until(await self.submit(source, **spec))
        await self.clean()
        return task

    async def clean(self) -> None:
        """Hold once no folder, process or mount of a sandbox is there any more."""
        async with asyncio.timeout(15):
            while self.left():  # noqa: ASYNC110 - files and processes tell nobody
                await asyncio.sleep(0.1)

    def left(self) -> list[str]:
        root = self.folder / "sandboxes"
        folders = [
            str(path)
            for path in [*root.glob("sbx_*"), *(self.folder / "work").glob("*/work-*")]
            if path.exists()
        ]
        mounts = [
            line for line in Path("/proc/mounts").read_text().splitlines() if str(root) in line
        ]
        return folders + mounts + [name for name in _commands() if str(root) in name]

    async def text(self, task_id: str, stream: str) -> str:
        chunks = await self.platform.logs.read(task_id, stream, 0)
        return b"".join(chunk.text for chunk in chunks).decode()

    async def handed_out(self, task_id: str) -> dict[str, bytes]:
        """Return the content of each artifact."""
        found = await self.platform.artifacts.of_task(task_id)
        return {each.name: await self.platform.objects.get(each.object) for each in found}


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@asynccontextmanager
async def open_place(
    folder: Path, *, backend: Callable[[Path], SandboxBackend] | None = None, **settings: Any
) -> AsyncIterator[Place]:
    """Run worker, relay and gateway in this process, with sandboxes that others may enter."""
    make_enterable(folder)
    chosen = Settings(
        data_dir=folder,
        gateway_port=free_port(),
        allow_networks=["127.0.0.0/8"],
        allow_http_git=True,
        **settings,
    )
    async with open_platform(chosen) as platform:
        await platform.keys.add_tenant(
            Tenant(id="tnt_ends", name="ends", created_at=platform.clock.now())
        )
        services = [
            *worker_services(
                platform, backend(folder / "sandboxes") if backend else open_backend(chosen)
            ),
            *relay_services(platform),
            Gateway(platform),
        ]
        running = [asyncio.create_task(service.run()) for service in services]
        try:
            yield Place(platform, folder)
        finally:
            for service in services:
                service.stop()
            await asyncio.wait(running, timeout=20)


def reason(task: Task) -> EndReason | None:
    """Return why a task ended."""
    return task.end.reason if task.end else None


def scripted(*steps: dict[str, Any]) -> str:
    """Return a prompt that tells the scripted model what to do."""
    return f"Follow the script.\n```scripted\n{json.dumps(steps)}\n```\n"


def bash(command: str) -> dict[str, Any]:
    """Return a step that runs a command."""
    return {"tool": "bash", "arguments": {"command": command}}


FINISH = {"tool": "finish", "arguments": {"status": "done", "summary": "done", "criteria": []}}
