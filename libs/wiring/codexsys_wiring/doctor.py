"""Try every part by using it, and say what to do where one does not work."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from codexsys_core.artifact import CODE_BUCKET
from codexsys_core.errors import PlatformError
from codexsys_core.model import whole
from codexsys_wiring.models import open_models
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.sandbox import found, output, sandbox_advice, tried, what_to_do, with_sandbox
from codexsys_wiring.settings import ConfigurationError, Settings

CHECK_SECONDS = 60.0
OLDEST_GIT = (2, 38)


@dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do when it is not ok."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


Check = Callable[[], Awaitable[str]]


async def examine(settings: Settings) -> list[Finding]:
    """Try every part."""
    settings = with_sandbox(settings)
    findings = [_git(), *await _sandbox(settings)]
    async with AsyncExitStack() as stack:
        try:
            platform = await stack.enter_async_context(open_platform(settings))
        except (PlatformError, ConfigurationError, OSError) as error:
            advice = "Correct the setting it names, or start the server, then run this again."
            return [*findings, Finding("platform", False, str(error), advice)]
        for name, check, advice in _checks(platform):
            findings.append(await _try(name, check, advice))
    return findings


async def _sandbox(settings: Settings) -> list[Finding]:
    """Make a sandbox and try its walls, its limits and its clean-up."""
    kind = settings.sandbox
    advice = sandbox_advice(settings)
    if advice:
        return [Finding("sandbox", False, "no sandbox can be made", advice)]
    if kind == "dummy":
        return [Finding("sandbox", True, "dummy: isolates nothing, for tests")]
    try:
        trials = await tried(settings)
    except ConfigurationError as error:
        return [Finding("sandbox", False, str(error), what_to_do(kind))]
    findings = [
        Finding(f"sandbox: {trial.name}", trial.state != "broken", trial.detail, what_to_do(kind))
        for trial in trials
    ]
    good = all(finding.ok for finding in findings)
    said = "keeps its promise" if good else "does not keep its promise: no task is run here"
    return [Finding("sandbox", good, f"{kind}: {said}", what_to_do(kind)), *findings]


def _git() -> Finding:
    wanted = ".".join(map(str, OLDEST_GIT))
    advice = f"Install git {wanted} or later."
    if not found("git"):
        return Finding("git", False, "not found", advice)
    said = output(["git", "--version"]).stdout.strip()
    numbers = tuple(int(part) for part in said.rpartition(" ")[2].split(".")[:2] if part.isdigit())
    return Finding("git", numbers >= OLDEST_GIT, said, "" if numbers >= OLDEST_GIT else advice)


def _checks(platform: Platform) -> list[tuple[str, Check, str]]:
    settings = platform.settings

    async def database() -> str:
        await platform.database.ready()
        await platform.keys.tenant_named("default")
        return settings.database.partition(":")[0]

    async def queue() -> str:
        await platform.queue.ready()
        return settings.queue_url

    async def redis() -> str:
        await platform.hints.ready()
        async with platform.hints.listen("doctor") as heard:
            await platform.hints.tell("doctor", "hello")
            await anext(aiter(heard))
        return settings.redis_url.rpartition("@")[2]

    async def store() -> str:
        await _put_and_get(platform)
        return settings.store.partition("?")[0]

    async def model() -> str:
        return await _asked(platform)

    return [
        ("database", database, "Check CODEXSYS_DATABASE_URL, and run: codexsys db upgrade"),
        ("queue", queue, "Check CODEXSYS_QUEUE_URL and that the brokers can be reached from here."),
        ("redis", redis, "Check CODEXSYS_REDIS_URL and that the server can be reached from here."),
        ("store", store, "Check CODEXSYS_STORE_URL, _STORE_KEY and _STORE_SECRET."),
        (
            "model",
            model,
            "Check CODEXSYS_MODEL_URL (up to and with /v1), _MODEL and _MODEL_KEY, or _MODELS_FILE.",
        ),
    ]


async def _try(name: str, check: Check, advice: str) -> Finding:
    try:
        detail = await asyncio.wait_for(check(), CHECK_SECONDS)
    except TimeoutError:
        return Finding(name, False, f"no answer within {CHECK_SECONDS:.0f} seconds", advice)
    except Exception as error:
        return Finding(name, False, str(error) or type(error).__name__, advice)
    return Finding(name, True, detail)


async def _put_and_get(platform: Platform) -> None:
    name = f"{CODE_BUCKET}/doctor/{platform.ids.new('doc')}"
    with TemporaryDirectory(prefix="codexsys-doctor-") as folder:
        path = Path(folder) / "object"
        path.write_bytes(b"codexsys")
        await platform.objects.put(name, path, content_type="text/plain")
    try:
        if await platform.objects.get(name) != b"codexsys":
            raise PlatformError("the object store gave back something else than was put there")
    finally:
        await platform.objects.delete(name)


async def _asked(platform: Platform) -> str:
    """Ask the first model of each upstream to say something."""
    models, answered = open_models(platform.settings, platform.catalogue), []
    for upstream in platform.catalogue.upstreams:
        offer = upstream.offers[0]
        request = {
            "model": offer.served_as,
            "messages": [{"role": "user", "content": "Say ok."}],
            "max_tokens": 16,
        }
        answer = whole([chunk async for chunk in models[upstream.name].stream(request)])
        where = upstream.url or "shipped, scripted: not a real model"
        price = "" if offer.prices else ", price not known: limits.cost_usd cannot be kept"
        answered.append(f"{answer['model'] or offer.model} ({where}{price})")
    return "; ".join(answered)
