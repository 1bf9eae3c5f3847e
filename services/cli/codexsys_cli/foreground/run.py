"""`codexsys run` from its order to its exit code."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from codexsys_cli.alone import alone
from codexsys_cli.errors import explained
from codexsys_cli.foreground.handover import shown
from codexsys_cli.foreground.hook import Hook, Nobody, Teller
from codexsys_cli.foreground.order import Order
from codexsys_cli.foreground.out import opened, write_result
from codexsys_cli.foreground.outcome import exit_of, patch_text
from codexsys_cli.foreground.states import State, state_of
from codexsys_cli.foreground.task import ForegroundTask
from codexsys_cli.output import Exit, emit, err, say
from codexsys_cli.verdict import show
from codexsys_cli.whole import Running, run_whole
from codexsys_client import Event
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Invalid
from codexsys_core.ids import TimeOrderedIds
from codexsys_wiring.sandbox import Unfit, sandbox_advice, with_sandbox
from codexsys_wiring.service import run as run_service
from codexsys_wiring.settings import ConfigurationError, Settings
from codexsys_wiring.webhooks import open_webhooks

_SIGNALLED = 128
_WITHOUT = """\
  Without any sandbox:      --sandbox none, as root (docker run --user 0:0). The agent is then only another user of this
                            machine, with its network, and nothing it does is called verified."""
_SHOWN = (
    "Without a sandbox the agent reads every command line, and one of them holds a token or key: "
    "give it by a variable, a file (..._FILE) or on standard input."
)
_REFUSED = ("url_refused", "address_denied")
_WAYS = "Private addresses need --allow-network CIDR, plain http:// needs --allow-http."


class NoSandbox(Unfit):
    """There is no sandbox here at all."""

    default_code = "sandbox_unavailable"


def run(order: Order, settings: Settings, *, state: Path | None, require_verified: bool) -> int:
    """Do the one task; return the exit code."""
    with _folder(state) as folder:
        return run_service(_run(order, settings, folder, require_verified=require_verified))


async def _run(order: Order, settings: Settings, folder: Path, *, require_verified: bool) -> int:
    async with _hook(order, settings) as hook:
        opened(order.out)
        try:
            done = await _done(order, settings, folder, hook)
        except Exception as error:
            said, _ = explained(error)
            hook.tell(_last("failed", {"error": said or "the platform made an error"}))
            if getattr(error, "code", "") in _REFUSED:
                say(f"codexsys: {_WAYS}")
            raise
        if done.task is None or done.result is None:
            return _SIGNALLED + done.signal if done.signal else Exit.FAILURE
        code = int(exit_of(done.task, require_verified=require_verified))
        if done.signal and done.task["status"] == "cancelled":
            code = _SIGNALLED + done.signal
        done.result["exit_code"] = code
        hook.tell(_last(done.task["status"], done.result))
    done.result["patch"] = patch_text(order.out)
    done.result["webhook"] = {"sent": hook.sent, "lost": hook.lost}
    write_result(order.out, done.result)
    show(err(), done.task)
    emit(done.result)
    return code


async def _done(order: Order, settings: Settings, folder: Path, hook: Teller) -> ForegroundTask:
    settings = with_sandbox(settings)
    if advice := sandbox_advice(settings):
        raise NoSandbox(f"No sandbox can be made here. {advice}\n{_WITHOUT}")
    if settings.sandbox == "none" and shown(order.secrets):
        raise Invalid(_SHOWN, code="secret_shown")
    made: list[ForegroundTask] = []
    loop = asyncio.get_running_loop()

    def told(events: list[Event]) -> None:
        for state in filter(None, map(state_of, events)):
            loop.call_soon_threadsafe(hook.tell, state)

    def companion(running: Running) -> ForegroundTask:
        made.append(ForegroundTask(running=running, order=order, console=err(), told=told))
        return made[0]

    await run_whole(
        alone(settings, folder / "data", worker_slots=1, **_model(order)),
        companion=companion,
        clear=True,
        git_logins=[order.login] if order.login else [],
    )
    return made[0]


@asynccontextmanager
async def _hook(order: Order, settings: Settings) -> AsyncIterator[Teller]:
    """Yield who is told of states, once it is known that the webhook may be reached."""
    if not order.webhook_url:
        yield Nobody()
        return
    async with open_webhooks(settings) as webhooks:
        try:
            await webhooks.check(order.webhook_url)
        except Invalid as error:
            said = f"the webhook: {error.message} {_WAYS} [{error.code}]"
            raise ConfigurationError([said]) from error
        hook = Hook(
            url=order.webhook_url,
            secret=order.webhook_secret,
            task_id=order.task_id,
            webhooks=webhooks,
            ids=TimeOrderedIds(),
            clock=SystemClock(),
        )
        async with hook:
            yield hook


def _last(status: str, data: dict[str, Any]) -> State:
    at = SystemClock().now().isoformat().replace("+00:00", "Z")
    return State(status, None, 100, at, data)


def _model(order: Order) -> dict[str, object]:
    """Return what is to be set for the model; nothing where the settings name one."""
    chosen: dict[str, object] = {"model": order.model} if order.model else {}
    if order.model_url:
        chosen |= {"model_url": order.model_url, "models_file": None}
    if order.model_key:
        chosen["model_key"] = SecretStr(order.model_key)
    return chosen


@contextmanager
def _folder(state: Path | None) -> Iterator[Path]:
    if state is not None:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield state.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="codexsys-run-") as made:
        yield Path(made)
