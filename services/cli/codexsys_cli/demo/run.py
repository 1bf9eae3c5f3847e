"""`codexsys demo`: make a repository, have it fixed, and show everything."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from codexsys_cli.alone import alone
from codexsys_cli.output import Exit, fail
from codexsys_cli.pack import pack
from codexsys_cli.progress import follow
from codexsys_cli.verdict import show, show_diff
from codexsys_cli.whole import Running, run_whole
from codexsys_client import Client, Task, Unreachable
from codexsys_wiring.sandbox import sandbox_advice, with_sandbox
from codexsys_wiring.service import run as run_service
from codexsys_wiring.settings import Settings

PROMPT = (
    "One test of this inventory package fails: the total of a stock is too small. "
    "Find the reason in the code, fix it, and leave the tests as they are."
)
CHECKS = "python3 -m pytest -q"
REPOSITORY = Path(__file__).parent / "repository"


class DemoTask:
    """Submits the task and shows it: a service that ends when the task is over."""

    def __init__(self, *, running: Running, folder: Path, kept: bool, console: Console) -> None:
        self._api = running.api
        self._account = running.account
        self._folder = folder
        self._kept = kept
        self._console = console
        self._stopping = False
        self.task: Task | None = None

    async def run(self) -> None:
        """Wait until the API answers, then do it all."""
        await self._api.serving()
        try:
            await asyncio.to_thread(self._demonstrate)
        except Unreachable:
            if not self._stopping:
                raise

    def stop(self) -> None:
        """Expect no more answers: the API stops with us, which ends every call."""
        self._stopping = True

    def _demonstrate(self) -> None:
        with Client(self._api.url, self._account.key) as client:
            submitted = self._submit(client)
            self._say(f"Task {submitted['id']}; while it runs: {submitted['links']['html']}")
            task = follow(client, submitted["id"], self._console)
            self._show(client, task)
            self.task = task

    def _submit(self, client: Client) -> Task:
        code = self._folder / "inventory"
        make_repository(code)
        self._say(f"A sample repository with a failing test: {code}")
        archive = self._folder / "inventory.zip"
        pack(code, archive)
        body = {"prompt": PROMPT, "checks": {"command": CHECKS}, "labels": {"demo": "inventory"}}
        return client.submit(body, file=archive)

    def _show(self, client: Client, task: Task) -> None:
        self._heading("Log of the agent")
        self._say(client.log(task["id"], "agent").rstrip())
        artifacts = client.artifacts(task["id"])
        if any(artifact["name"] == "diff.patch" for artifact in artifacts):
            self._heading("Diff")
            show_diff(
                self._console, client.artifact(task["id"], "diff.patch").decode(errors="replace")
            )
        self._heading("Verdict")
        show(self._console, task)
        self._heading("Files")
        for artifact in artifacts:
            place = artifact["name"]
            if self._kept:
                target = self._folder / "artifacts" / artifact["name"]
                target.parent.mkdir(parents=True, exist_ok=True)
                client.download(task["id"], artifact["name"], target)
                place = str(target)
            self._say(f"  {place} ({artifact['size']:,} bytes)")

    def _heading(self, text: str) -> None:
        self._console.print(Rule(text, align="left"))

    def _say(self, text: str) -> None:
        self._console.print(Text(text))


def demo(settings: Settings, *, keep: Path | None, console: Console) -> Exit:
    """Run the demo; OK only when the change is verified."""
    settings = with_sandbox(settings)
    advice = sandbox_advice(settings)
    if advice:
        fail(
            "The demo needs a sandbox, and this machine does not let us make one",
            advice,
            code="sandbox_unavailable",
        )
    with _folder(keep) as folder:
        scripted = {"model_url": "", "model": "scripted-demo"}
        task = run_service(
            _run(alone(settings, folder / "data", **scripted), folder, keep, console)
        )
    if task is None:
        console.print(Text("Demo: interrupted; nothing of it is left."))
        return Exit.INTERRUPTED
    verified = task["verdict"] == "verified"
    if keep is not None:
        console.print(
            Text(
                f"Everything is in {keep}; look at it with: codexsys up --data-dir {keep / 'data'}"
            )
        )
    said = "Demo: the change is verified." if verified else "Demo: the change is NOT verified."
    console.print(Text(said, style="bold green" if verified else "bold red"))
    return Exit.OK if verified else Exit.NOT_SUCCEEDED


async def _run(
    settings: Settings, folder: Path, keep: Path | None, console: Console
) -> Task | None:
    made: list[DemoTask] = []

    def companion(running: Running) -> DemoTask:
        made.append(
            DemoTask(running=running, folder=folder, kept=keep is not None, console=console)
        )
        return made[0]

    console.print(
        Text(
            "The model is scripted: it plays back fixed steps, and says so. Everything else is real."
        )
    )
    await run_whole(settings, companion=companion, clear=True)
    return made[0].task


def make_repository(folder: Path) -> None:
    """Lay the sample repository down and commit it."""
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(REPOSITORY, folder, ignore=ignored)
    env = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "codexsys demo",
        "GIT_AUTHOR_EMAIL": "demo@localhost",
        "GIT_COMMITTER_NAME": "codexsys demo",
        "GIT_COMMITTER_EMAIL": "demo@localhost",
    }
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-q", "-m", "An inventory"],
    ):
        subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="codexsys-demo-") as made:
            yield Path(made)
        return
    if keep.exists() and any(keep.iterdir()):
        fail(f"{keep} is not empty", "name a new folder", exit_code=Exit.USAGE)
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.absolute()
