"""What a browser needs for a log of 50 MB and a change of 100,000 lines: first paint, and tasks that hold it up."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Page
from pydantic import BaseModel
from tests.support.browser import fresh_profile
from tests.support.seats import owner_of, sign_in
from tests.support.up_process import Up, running_up
from tests.support.users import zipped

LINES = 100_000
LOG_BYTES = 50 << 20
MOST_PAINT_MS, MOST_TASK_MS = 1000.0, 200.0
TASK_SECONDS = 300.0
WHEELS = 40
SCRIPT = f"seq 1 {LINES} > rows.txt"
LINE = b"fetched one more page of the almanac, with its tides and its moons, and stored it\n"
WATCH = """
window.long = [];
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) window.long.push(each.duration);
}).observe({ type: "longtask", buffered: true });
"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


class Seen(BaseModel):
    """One page: milliseconds until something was painted, and of its longest task."""

    paint_ms: float
    loading_ms: float
    scrolling_ms: float


class PageFigures(BaseModel):
    """Both pages, each opened several times."""

    seen: dict[str, list[Seen]]

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        found = []
        for what, rounds in self.seen.items():
            paint = max(each.paint_ms for each in rounds)
            held = max(each.scrolling_ms for each in rounds)
            if paint > MOST_PAINT_MS:
                found.append(f"the {what} is first painted after {paint:.0f} ms")
            if held > MOST_TASK_MS:
                found.append(f"scrolling the {what} is held up for {held:.0f} ms")
        return found

    def text(self) -> str:
        """Return the figures as Markdown."""
        rows = [
            f"| {what} | {each.paint_ms:.0f} | {each.loading_ms:.0f} | {each.scrolling_ms:.0f} |"
            for what, rounds in self.seen.items()
            for each in rounds
        ]
        head = "| page | first paint, ms | longest task while it comes, ms | while it is scrolled, ms |"
        limits = f"At most {MOST_PAINT_MS:.0f} ms until the first paint, {MOST_TASK_MS:.0f} ms a task while scrolling."
        return "\n".join(["## Pages", "", limits, "", head, "|---|---|---|---|", *rows, ""])


async def measure_pages(rounds: int) -> PageFigures:
    """Let a task leave both behind, and open each page so often."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_up(Path(folder), {"CODEXSYS_SANDBOX": "local"}) as up:
            task_id = await _task(up)
            await asyncio.to_thread(_lengthen, Path(folder))
            pages = {
                "log of 50 MB": (f"/tasks/{task_id}?tab=log", _log_is_there),
                "change of 100,000 lines": (f"/tasks/{task_id}?tab=diff", _change_is_there),
            }
            seen: dict[str, list[Seen]] = {what: [] for what in pages}
            for _ in range(rounds):
                for what, (path, there) in pages.items():
                    async with fresh_profile(up.url) as person:
                        await sign_in(person, up)
                        await person.context.add_init_script(WATCH)
                        await person.open(path)
                        seen[what].append(await _look(person.page, there))
            return PageFigures(seen=seen)


async def _task(up: Up) -> str:
    body = {
        "prompt": "Leave much behind.",
        "engine": "command",
        "command": SCRIPT,
        "checks": {"strategy": "skip"},
    }
    async with owner_of(up) as owner:
        made = await owner.submit(body, archive=zipped({"README.md": "one\n"}))
        task = await owner.finished(made, seconds=TASK_SECONDS)
        if (task["diff"] or {}).get("insertions") != LINES:
            raise SystemExit(f"the task left no such change: {task['end_reason']}")
        return made


def _lengthen(folder: Path) -> None:
    """Let the stored log be one of many attempts: each alone says 16 MiB at most."""
    (log,) = folder.rglob("agent.log")
    log.write_bytes(LINE * (LOG_BYTES // len(LINE)))


async def _log_is_there(page: Page) -> str:
    count = "document.querySelector('[data-log]').log?.lines.length ?? 0"
    async with asyncio.timeout(TASK_SECONDS):  # a page with its policy lets nobody wait in it
        while await page.evaluate(count) < LOG_BYTES // 100:
            await page.wait_for_timeout(200)
    await page.locator("[data-state]:empty").wait_for(state="attached")
    return ".log"


async def _change_is_there(page: Page) -> str:
    await page.locator(".file summary").first.click()
    return ".review"


async def _look(page: Page, there: Callable[[Page], Awaitable[str]]) -> Seen:
    place = page.locator(await there(page))
    loading = await page.evaluate("Math.max(0, ...window.long.splice(0))")
    await place.hover(position={"x": 200, "y": 100})
    for step in range(WHEELS):
        await page.mouse.wheel(0, 15_000 if step < WHEELS * 3 // 4 else -15_000)
        await page.evaluate("new Promise(requestAnimationFrame)")
    await page.evaluate("new Promise((done) => setTimeout(done, 300))")
    scrolling = await page.evaluate("Math.max(0, ...window.long)")
    paint = await page.evaluate(PAINT)
    return Seen(paint_ms=paint, loading_ms=loading, scrolling_ms=scrolling)
