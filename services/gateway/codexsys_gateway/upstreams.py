"""Which upstream takes a call: those that serve its model in turn, under their limits, resting where they fail."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from codexsys_core.catalogue import Catalogue, Offer, Upstream
from codexsys_core.model import ModelError, Models

TRIES = 4
"""Of one call, over all upstreams."""
PAID_TRIES = 2
"""How many of them may have been paid for."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_REST_SECONDS = 600.0
"""However long an upstream asks to be left alone: what it says may be wrong, or over sooner."""
QUEUE_SECONDS = 120.0
"""How long a call waits for an upstream that has a place for it."""
_NEVER_AGAIN = ("model_auth", "model_unknown", "model_refused", "context_length_exceeded")
_NOWHERE = ("model_refused",)
"""What every upstream would say."""


@dataclass(eq=False)
class Lane:
    """One model at one upstream."""

    upstream: Upstream
    offer: Offer
    models: Models
    places: "Places"
    rests_until: float = 0.0


@dataclass(eq=False)
class Places:
    """How many more calls an upstream takes now."""

    left: int


@dataclass
class Patience:
    """What a call has met with so far."""

    lanes: list[Lane]
    """Those that may still be asked, those first that were asked least."""
    tries: int = 0
    paid: int = 0

    def goes_on(self, lane: Lane, error: ModelError) -> bool:
        """Say whether another try is worth it, and let the lane rest until then."""
        self.tries += 1
        self.paid += error.spent
        self.lanes = [*(each for each in self.lanes if each is not lane), lane]
        if error.code in _NEVER_AGAIN:
            least = lane.offer.context_tokens or 0
            larger = error.code == "context_length_exceeded"
            self.lanes = [
                each
                for each in self.lanes
                if each is not lane and not (larger and (each.offer.context_tokens or 0) <= least)
            ]
            return error.code not in _NOWHERE and bool(self.lanes) and self.tries < TRIES
        pause = FIRST_PAUSE_SECONDS * 2 ** (self.tries - 1)
        if error.retry_after is not None:
            pause = error.retry_after
        now = asyncio.get_running_loop().time()
        lane.rests_until = max(lane.rests_until, now + min(pause, LONGEST_REST_SECONDS))
        soonest = min(each.rests_until for each in self.lanes) - now
        return self.tries < TRIES and self.paid < PAID_TRIES and soonest <= LONGEST_PAUSE_SECONDS


class Upstreams:
    """All lanes of this gateway. Those who wait for a place look for one in the order of coming."""

    def __init__(self, catalogue: Catalogue, models: Mapping[str, Models]) -> None:
        self._waiting: dict[asyncio.Event, None] = {}
        self._lanes: list[Lane] = []
        for upstream in catalogue.upstreams:
            places = Places(upstream.parallel)
            self._lanes += [
                Lane(upstream, offer, models[upstream.name], places) for offer in upstream.offers
            ]

    def serving(self, model: str, *, priced: bool) -> Patience:
        """Return what a call for a model begins with; `priced`: only where the price is known."""
        serving = [lane for lane in self._lanes if lane.offer.model == model]
        known = [lane for lane in serving if lane.offer.prices is not None]
        return Patience(known if priced else serving)

    @staticmethod
    def likely(patience: Patience) -> Lane | None:
        """Return the lane that would be given now."""
        now = asyncio.get_running_loop().time()
        free = (lane for lane in patience.lanes if lane.rests_until <= now and lane.places.left > 0)
        return next(free, None)

    @asynccontextmanager
    async def lane(self, patience: Patience) -> AsyncIterator[Lane]:
        """Give the first lane that neither rests nor is full, once there is one."""
        lane = await self._free(patience)
        lane.places.left -= 1
        try:
            yield lane
        finally:
            lane.places.left += 1
            for waiting in self._waiting:
                waiting.set()

    async def _free(self, patience: Patience) -> Lane:
        loop = asyncio.get_running_loop()
        until = loop.time() + QUEUE_SECONDS
        while True:
            if (lane := self.likely(patience)) is not None:
                return lane
            now = loop.time()
            ends = [lane.rests_until for lane in patience.lanes if lane.rests_until > now]
            nobody = len(ends) == len(patience.lanes) and min(ends) > until
            if nobody or now >= until:
                raise ModelError("The model's endpoint is busy.", code="model_busy", retry_after=5)
            await self._something(min([until, *ends]) - now)

    async def _something(self, seconds: float) -> None:
        """Wait until a place is free, or for so long."""
        freed = asyncio.Event()
        self._waiting[freed] = None
        try:
            async with asyncio.timeout(seconds):
                await freed.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiting[freed]
