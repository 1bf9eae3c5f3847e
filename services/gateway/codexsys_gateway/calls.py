"""Model calls: reserved, made, recorded and settled, however they end."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from codexsys_core.catalogue import OUTPUT_TOKENS, Catalogue, dearest
from codexsys_core.errors import PlatformError
from codexsys_core.model import ModelError
from codexsys_core.sandbox import Sandbox
from codexsys_core.task import TaskStore, Usage
from codexsys_core.wallet import Grant, Refusal, Wallet
from codexsys_gateway.allow_list import BYTES_PER_TOKEN, Wanted
from codexsys_gateway.records import Records
from codexsys_gateway.refusals import STOPS, Refused
from codexsys_gateway.transcript import Transcript
from codexsys_gateway.turns import Afterwards, Turn, Turns
from codexsys_gateway.upstreams import LONGEST_PAUSE_SECONDS, Lane, Patience, Upstreams
from codexsys_wiring.metrics import GATEWAY_CALLS

CALL_SECONDS = 1800.0
"""How long a call may take in all, waiting and every try included."""
MOST_KNOWN = 4096
_SLACK_SECONDS = 60.0
_ESTIMATE_SLACK = 16
BUSY_SECONDS = 5.0
PRICE_UNKNOWN = Refusal(code="price_unknown")
_STATUS = {
    "model_auth": STOPS,
    "model_refused": 400,
    "context_length_exceeded": 400,
    "model_busy": 429,
    "model_unavailable": 502,
}
_REFUSALS = {
    "budget_exhausted": "The money for this task is spent.",
    "calls_exhausted": "The model calls for this task are spent.",
    "tokens_exhausted": "The tokens for this task are spent.",
    "day_budget_exhausted": "The money that the tenant may spend in a day is spent.",
    "day_tokens_exhausted": "The tokens that the tenant may use in a day are used.",
    "task_cancelled": "The task was cancelled.",
    "token_revoked": "This sandbox has ended.",
    "model_refused": "The price of this model is not known, so a limit of money cannot be kept.",
}

log = structlog.get_logger(__name__)


Chunks = AsyncIterator[dict[str, Any]]


@dataclass(frozen=True)
class Draft:
    """What a lane will be asked, written while the reservation is under way. Nothing of it is sent."""

    lane: Lane
    length: int
    chunks: Chunks


@dataclass
class Call:
    """A call under way, with the reservation that it has now."""

    sandbox: Sandbox
    wanted: Wanted
    patience: Patience
    grant: Grant
    ends_at: float
    draft: Draft | None = None
    lane: Lane | None = None
    transcript: Transcript = field(default_factory=lambda: Transcript(""))
    outcome: str = "left"
    """What became of it: answered, an error's code, or its agent has left."""
    spent: bool = False
    """Whether an upstream may have been paid for what is reserved."""

    def begins(self, lane: Lane) -> Chunks:
        """Return what the lane answers: from here on it may have to be paid."""
        length = min(self.grant.output_tokens, lane.offer.most_output)
        draft, self.draft = self.draft, None
        fits = draft is not None and draft.lane is lane and draft.length == length
        chunks = draft.chunks if draft and fits else _asked(lane, self.wanted, length)
        self.lane, self.transcript, self.spent = lane, Transcript(lane.offer.model), True
        self.outcome = "left"
        return chunks


class Calls:
    """The only way to a model. Every call is counted before it is made, and settled however it ends."""

    def __init__(
        self,
        *,
        upstreams: Upstreams,
        catalogue: Catalogue,
        wallet: Wallet,
        tasks: TaskStore,
        records: Records,
    ) -> None:
        self._upstreams = upstreams
        self._catalogue = catalogue
        self._wallet = wallet
        self._tasks = tasks
        self._records = records
        self._known: dict[str, tuple[str, bool]] = {}
        self._afterwards = Afterwards()
        self._turns = Turns(self._afterwards)

    async def quiet(self) -> None:
        """Return once all calls whose answers have gone are settled and kept."""
        await self._afterwards.quiet()

    async def turn(self, sandbox: Sandbox) -> Turn:
        """Wait until a sandbox may make one more call."""
        turn = self._turns.of(sandbox.id)
        await turn.begin()
        return turn

    async def chunks(
        self, turn: Turn, sandbox: Sandbox, wanted: Wanted
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield an answer's chunks and end the turn; raises `Refused` or, also in their midst, `ModelError`.

        One upstream after the other is asked, until one begins to answer. The answer waits for no
        more than the reservation: what came of it is settled and kept while the agent reads on. A
        gateway that dies before leaves what was reserved, which a relay settles in full.
        """
        try:
            call = await self._open(sandbox, wanted)
        except BaseException:
            turn.give_up()
            raise
        try:
            async with aclosing(self._tried(call)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            turn.end(self._settle(call))

    async def _tried(self, call: Call) -> AsyncGenerator[dict[str, Any], None]:
        while True:
            async with self._upstreams.lane(call.patience) as lane:
                try:
                    async with aclosing(self._answer(call, lane)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                except ModelError as error:
                    GATEWAY_CALLS.labels(error.code).inc()
                    call.outcome = error.code
                    call.spent = error.spent or call.transcript.heard
                    if call.transcript.heard or not call.patience.goes_on(lane, error):
                        raise
                else:
                    GATEWAY_CALLS.labels("answered").inc()
                    call.outcome = "answered"
                    return
            if call.spent:  # another try is another call, and paid for as such
                await self._settle(call)
                again = await self._reserve(call.sandbox, call.wanted, call.patience)
                call.grant = _granted(again)
                call.spent = False

    async def _answer(self, call: Call, lane: Lane) -> AsyncGenerator[dict[str, Any], None]:
        loop = asyncio.get_running_loop()
        async with aclosing(call.begins(lane)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                call.transcript.add(chunk)
                yield chunk
                if loop.time() > call.ends_at:
                    raise ModelError("The model's answer takes too long.", spent=True)

    async def _open(self, sandbox: Sandbox, wanted: Wanted) -> Call:
        """Find who serves the task's model, and reserve the worst case; raises `Refused`."""
        model, priced = await self._terms(sandbox)
        patience = self._serving(model, priced=priced)
        writing = asyncio.create_task(self._drafted(wanted, patience))
        try:
            answer = await self._reserve(sandbox, wanted, patience)
        finally:
            writing.cancel()
        if answer == PRICE_UNKNOWN and not priced:  # it is the tenant whose money is limited
            patience = self._serving(model, priced=True)
            answer = await self._reserve(sandbox, wanted, patience)
        ends_at = asyncio.get_running_loop().time() + CALL_SECONDS
        draft = writing.result() if writing.done() else None
        return Call(sandbox, wanted, patience, _granted(answer), ends_at, draft)

    async def _drafted(self, wanted: Wanted, patience: Patience) -> Draft | None:
        """Write to whoever will most likely be asked, while the ledger is waited for."""
        await asyncio.sleep(0)  # it is asked first
        if (lane := self._upstreams.likely(patience)) is None:
            return None
        length = min(_most_output(wanted, patience), lane.offer.most_output)
        with suppress(Exception):  # what cannot be written says so when it is its turn
            return Draft(lane, length, _asked(lane, wanted, length))
        return None

    def _serving(self, model: str, *, priced: bool) -> Patience:
        """Return who serves a model; raises `Refused` when nobody may."""
        patience = self._upstreams.serving(model, priced=priced)
        if not patience.lanes and self._upstreams.serving(model, priced=False).lanes:
            raise _refused_by_wallet(PRICE_UNKNOWN)
        if not patience.lanes:
            raise Refused(400, "model_refused", f"Nobody serves the model {model} any more.")
        return patience

    async def _terms(self, sandbox: Sandbox) -> tuple[str, bool]:
        """Return the task's model, and whether its money is limited: neither ever changes."""
        if (known := self._known.get(sandbox.task_id)) is not None:
            return known
        task = await self._tasks.get(sandbox.task_id, tenant_id=sandbox.tenant_id)
        terms = task.spec.model or self._catalogue.default, task.spec.limits.cost_usd is not None
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known[sandbox.task_id] = terms
        return terms

    async def _reserve(
        self, sandbox: Sandbox, wanted: Wanted, patience: Patience
    ) -> Grant | Refusal:
        """Reserve the most that any of the upstreams may take for it."""
        offers = [lane.offer for lane in patience.lanes]
        known = [offer.prices for offer in offers if offer.prices is not None]
        return await self._wallet.reserve(
            sandbox,
            input_tokens=len(json.dumps(wanted.request)) // BYTES_PER_TOKEN + _ESTIMATE_SLACK,
            output_tokens=_most_output(wanted, patience),
            prices=dearest(known) if len(known) == len(offers) else None,
            seconds=CALL_SECONDS + _SLACK_SECONDS,
        )

    async def _settle(self, call: Call) -> None:
        """Settle from the upstream's own count; without one in full, if it may have been paid for."""
        heard = call.transcript.usage if call.transcript.heard else None
        usage = heard if call.spent else Usage()
        prices = call.lane.offer.prices if call.lane else None
        number, outcome = call.grant.number, call.outcome
        try:
            await self._wallet.settle(call.grant, usage, prices=prices)
        except PlatformError as error:  # a relay settles it in full, when its time is over
            log.warning("call_not_settled", task_id=call.sandbox.task_id, problem=error.message)
        self._afterwards.start(self._keep(call, call.transcript, number, outcome))

    async def _keep(self, call: Call, transcript: Transcript, number: int, outcome: str) -> None:
        sandbox, request = call.sandbox, call.wanted.request
        try:
            await self._records.keep(sandbox, number, request, transcript, outcome)
        except PlatformError as error:
            log.warning("call_not_kept", task_id=sandbox.task_id, problem=error.message)


def _most_output(wanted: Wanted, patience: Patience) -> int:
    """Return how long the longest answer may be, whoever gives it."""
    most = max(lane.offer.most_output for lane in patience.lanes)
    return min(wanted.output_tokens or OUTPUT_TOKENS, most)


def _asked(lane: Lane, wanted: Wanted, length: int) -> Chunks:
    request = {**wanted.request, "model": lane.offer.served_as, "max_tokens": length}
    return lane.models.stream(request)


def _granted(answer: Grant | Refusal) -> Grant:
    if isinstance(answer, Refusal):
        raise _refused_by_wallet(answer)
    return answer


def _refused_by_wallet(refusal: Refusal) -> Refused:
    GATEWAY_CALLS.labels(refusal.code).inc()
    code = "model_refused" if refusal == PRICE_UNKNOWN else refusal.code
    return Refused(STOPS, code, _REFUSALS.get(code, "The call is not allowed."))


def refused(error: ModelError) -> Refused:
    """Return how an engine is told of an upstream's failure."""
    code = "model_refused" if error.code == "model_unknown" else error.code
    again = None
    if code == "model_busy":  # engines believe whatever they are told, also an hour
        again = min(error.retry_after or BUSY_SECONDS, LONGEST_PAUSE_SECONDS)
    return Refused(_STATUS.get(code, 502), code, error.message, retry_after=again)
