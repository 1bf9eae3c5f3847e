"""Does harm by a seed: kills, freezes, cuts off, wipes and restarts, and always mends it again."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.servers import OwnServers
from tests.support.distributed import Fleet, Running
from tests.support.fault_proxy import Weather

SERVICES = ("api-1", "api-2", "worker-1", "worker-2", "gateway-1", "relay-1")
_LATE = {Weather.LATENCY: 0.2, Weather.SLOW: 0.05}


@dataclass(frozen=True)
class Fault:
    """One harm. Times are seconds since the run began."""

    what: str
    whom: str
    begun: float
    mended: float

    def told(self) -> dict[str, Any]:
        """Return it for the report."""
        return asdict(self)


class Nemesis:
    """One fault at a time, with a rest between; the same seed does the same in the same order."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        servers: OwnServers,
        rng: random.Random,
        now: Callable[[], float],
        longest: float,
    ) -> None:
        self.faults: list[Fault] = []
        self.wrong: list[str] = []
        """What services did that nobody told them to."""
        self._fleet = fleet
        self._servers = servers
        self._rng = rng
        self._now = now
        self._longest = longest
        self._harms: list[tuple[str, str, Callable[[str, float], Awaitable[None]]]] = [
            *(("kill", each, self._kill) for each in SERVICES),
            *(("freeze", each, self._freeze) for each in SERVICES),
            *(("restart", each, self._restart) for each in SERVICES),
            *(("kill", each, self._kill_server) for each in servers.proxies),
            *(("freeze", each, self._freeze_server) for each in servers.proxies),
            *(
                (weather.value, each, self._turn(weather))
                for each in servers.proxies
                for weather in Weather
                if weather is not Weather.CLEAR
            ),
            ("flush", "redis", self._flush),
            ("wipe", "kafka", self._wipe),
        ]

    async def run(self, *, seconds: float, faults: int | None = None) -> None:
        """Do harm until the time is up, or so many harms spread over it; all is mended when it returns."""
        begun, order = self._now(), list[int]()
        while self._now() < begun + seconds if faults is None else len(self.faults) < faults:
            if not order:  # each harm once before any comes again
                order = self._rng.sample(range(len(self._harms)), len(self._harms))
            pause, length = self._rng.uniform(0.5, 2.0), self._rng.uniform(1.0, self._longest)
            if faults is not None:
                pause = begun + len(self.faults) * seconds / faults - self._now() + pause / 2
            await asyncio.sleep(max(0.2, pause))
            await self._harm(*self._harms[order.pop()], length)
        self.look_after()

    async def _harm(
        self, what: str, whom: str, harm: Callable[[str, float], Awaitable[None]], seconds: float
    ) -> None:
        self.look_after()
        begun = self._now()
        print(f"{begun:7.1f} s  {what} {whom}", flush=True)
        await harm(whom, seconds)
        self.faults.append(Fault(what, whom, begun, self._now()))

    def look_after(self) -> None:
        """Note services that ended by themselves, and start them again."""
        for name in SERVICES:
            code = self._process(name).process.poll()
            if code is not None:
                self.wrong.append(f"{name} ended by itself ({code}) before {self._now():.1f} s")
                self._fleet.again(name)

    def _process(self, name: str) -> Running:
        return next(each for each in reversed(self._fleet.running) if each.name == name)

    async def _kill(self, name: str, seconds: float) -> None:
        self._process(name).kill()
        await asyncio.sleep(seconds / 4)
        self._fleet.again(name)

    async def _restart(self, name: str, _seconds: float) -> None:
        try:
            await self._process(name).stop()
        except AssertionError as error:
            self.wrong.append(str(error))
        self._fleet.again(name)

    async def _freeze(self, name: str, seconds: float) -> None:
        process = self._process(name).process
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds * 1.5)
        finally:
            process.send_signal(signal.SIGCONT)

    async def _kill_server(self, name: str, seconds: float) -> None:
        await self._servers.kill(name)
        await asyncio.sleep(seconds / 2)
        await self._servers.start(name)

    async def _freeze_server(self, name: str, seconds: float) -> None:
        self._servers.freeze(name)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._servers.thaw(name)

    def _turn(self, weather: Weather) -> Callable[[str, float], Awaitable[None]]:
        async def turned(name: str, seconds: float) -> None:
            proxy = self._servers.proxies[name]
            proxy.turn(weather, seconds=_LATE.get(weather, 0.0))
            try:
                await asyncio.sleep(0.2 if weather is Weather.RESET else seconds)
            finally:
                proxy.turn(Weather.CLEAR)

        return turned

    async def _flush(self, _name: str, _seconds: float) -> None:
        await self._fleet.servers.flush()

    async def _wipe(self, name: str, seconds: float) -> None:
        await self._servers.kill(name)
        await asyncio.sleep(seconds / 4)
        await self._servers.wipe(name)
