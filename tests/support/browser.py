"""Real Chromium, watched: what its console says, and pictures of its pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Literal

from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    async_playwright,
    expect,
)

expect.set_options(timeout=20_000)

CHROMIUM = "/usr/bin/chromium"
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
_SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
_MOVING = """[...document.querySelectorAll("*")].filter((each) => {
  const style = getComputedStyle(each);
  return style.animationName !== "none" || !/^0s(, 0s)*$/.test(style.transitionDuration);
}).map((each) => each.outerHTML.slice(0, 200))"""
_SIZES = {"desk": (1280, 800), "phone": (390, 844)}


class Profile:
    """A browser profile with one page, and everything that its console complained about."""

    def __init__(self, *, context: BrowserContext, page: Page, base_url: str, script: bool) -> None:
        self.context = context
        self.page = page
        self._base_url = base_url
        self._script = script
        self._documents: dict[str, int] = {}
        self._complaints: list[tuple[str, str]] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._complaints.append((page.url, str(error))))
        page.on("response", self._answered)

    async def open(self, path: str) -> int:
        """Go to a path, or to a whole address, and return the status of the answer."""
        answer = await self.page.goto(path if "://" in path else self._base_url + path)
        assert answer is not None, path
        return answer.status

    async def press(self, name: str) -> int:
        """Press the button of this name and return the status of the page that follows."""
        async with self.page.expect_navigation() as navigation:
            await self.page.get_by_role("button", name=name, exact=True).click()
        answer = await navigation.value
        assert answer is not None, name
        return answer.status

    async def over(self) -> None:
        """Wait for the page of a task that is over: it takes the other's place by itself, and whatever is under way then."""
        await expect(self.page.get_by_role("button", name="Retry")).to_be_visible()
        await self.page.wait_for_load_state()

    @property
    def path(self) -> str:
        """Where the page is, below the platform's address."""
        return self.page.url.removeprefix(self._base_url)

    async def picture(self, name: str) -> None:
        """Photograph the page in both themes and sizes.

        At none may it be wider than the window, and axe-core must find nothing: on a desk in the
        light, and on a phone in the dark. Who wants less motion, as this profile does, gets none.
        """
        if self._script:
            assert not (moving := await self.page.evaluate(_MOVING)), f"{name}: {moving}"
        PICTURES.mkdir(parents=True, exist_ok=True)
        for size, (width, height) in _SIZES.items():
            await self.page.set_viewport_size({"width": width, "height": height})
            await self.page.wait_for_load_state()  # a page that follows a task may be loading anew
            wide = await self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide in a window of {width} px"
            for scheme in _SCHEMES:
                await self.page.emulate_media(color_scheme=scheme)
                if self._script and (size, scheme) in {("desk", "light"), ("phone", "dark")}:
                    await self._accessible(f"{name}, {size}, {scheme}")
                await self.page.screenshot(
                    path=PICTURES / f"{name}-{size}-{scheme}.png", full_page=True
                )
        await self.page.set_viewport_size({"width": 1280, "height": 800})
        await self.page.emulate_media(color_scheme="light")

    async def _accessible(self, what: str) -> None:
        """Let axe-core look at the page; it is evaluated, since the page allows no foreign script."""
        if not await self.page.evaluate("typeof axe === 'object'"):
            await self.page.evaluate(_AXE)
        found = await self.page.evaluate(
            "axe.run().then((found) => found.violations.map((each) => "
            "[each.id, each.help, each.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))]))"
        )
        assert not found, f"{what}: {found}"

    @property
    def complaints(self) -> list[tuple[str, str]]:
        """What the console complained about, but for pages that were refused as a test wanted."""
        return [
            (url, text)
            for url, text in self._complaints
            if not (text.startswith("Failed to load resource") and self._documents.get(url))
        ]

    def forgive(self, words: str) -> None:
        """Forget the complaints with these words: what a test broke on purpose."""
        self._complaints = [each for each in self._complaints if words not in each[1]]

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._complaints.append((str(message.location["url"]), message.text))

    def _answered(self, response: Response) -> None:
        if response.request.is_navigation_request():
            self._documents[response.url] = response.status


@asynccontextmanager
async def fresh_profile(base_url: str, *, script: bool = True) -> AsyncIterator[Profile]:
    """Start a browser that has never been anywhere; its console must stay clean."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            context = await browser.new_context(
                viewport={"width": 1280, "height": 800},
                reduced_motion="reduce",
                java_script_enabled=script,
            )
            context.set_default_timeout(20_000)
            page = await context.new_page()
            profile = Profile(context=context, page=page, base_url=base_url, script=script)
            yield profile
            assert not profile.complaints, profile.complaints
        finally:
            await browser.close()
