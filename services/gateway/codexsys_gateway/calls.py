"""Model calls: reserved, built, made, recorded and settled."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from codexsys_core.event import EventStore, EventType
from codexsys_core.log import LogStore
from codexsys_core.model import ModelError, Models
from codexsys_core.ready import Hints
from codexsys_core.sandbox import Sandbox
from codexsys_core.task import TaskStore, Usage
from codexsys_core.wallet import Grant, Prices, Refusal, Wallet
from codexsys_gateway.refusals import STOPS, Refused
from codexsys_gateway.transcript import Transcript
from codexsys_gateway.upstream_request import BYTES_PER_TOKEN, build, wanted_output
from codexsys_wiring.metrics import GATEWAY_CALLS, GATEWAY_TOKENS

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
    "task_cancelled": "The task was cancelled.",
    "token_revoked": "This sandbox has ended.",
}


@dataclass(frozen=True)
class Call:
    """One allowed call."""

    sandbox: Sandbox
    grant: Grant
    request: dict[str, Any]


class Calls:
    """The only way to a model. Every call is counted before it is made, and settled however it ends."""

    def __init__(
        self,
        *,
        models: Models,
        wallet: Wallet,
        tasks: TaskStore,
        logs: LogStore,
        events: EventStore,
        hints: Hints,
        model: str,
        prices: Prices,
        seconds: float,
    ) -> None:
        self._models = models
        self._wallet = wallet
        self._tasks = tasks
        self._logs = logs
        self._events = events
        self._hints = hints
        self._model = model
        self._prices = prices
        self._seconds = seconds

    async def open(self, sandbox: Sandbox, body: dict[str, Any]) -> Call:
        """Build the upstream request and reserve its worst case; raises `Refused`."""
        task = await self._tasks.get(sandbox.task_id, tenant_id=sandbox.tenant_id)
        request = build(body, model=task.spec.model or self._model)
        estimate = len(json.dumps(request)) // BYTES_PER_TOKEN + 16
        answer = await self._wallet.reserve(
            sandbox.id,
            input_tokens=estimate,
            output_tokens=wanted_output(body),
            prices=self._prices,
            seconds=self._seconds * 2,
        )
        if isinstance(answer, Refusal):
            GATEWAY_CALLS.labels(answer.code).inc()
            raise Refused(
                STOPS, answer.code, _REFUSALS.get(answer.code, "The call is not allowed.")
            )
        request["max_tokens"] = answer.output_tokens
        return Call(sandbox=sandbox, grant=answer, request=request)

    async def complete(self, call: Call) -> dict[str, Any]:
        """Make a call that is answered whole."""
        transcript = Transcript()
        try:
            answer = await self._models.complete(call.request)
            transcript.add_whole(answer)
        except ModelError as error:
            raise _refused(error) from error
        finally:
            await self._settle(call, transcript)
        return answer

    async def stream(self, call: Call) -> AsyncIterator[bytes]:
        """Make a call and return its chunks as server-sent events.

        An upstream that fails before its first chunk is `Refused` with a status of its own.
        """
        events = self._passed_on(call)
        return _joined(await anext(events), events)

    async def _passed_on(self, call: Call) -> AsyncGenerator[bytes, None]:
        transcript = Transcript()
        try:
            async for chunk in self._models.stream(call.request):
                transcript.add_chunk(chunk)
                yield _event(chunk)
            yield b"data: [DONE]\n\n"
        except ModelError as error:
            if not transcript.heard:
                raise _refused(error) from error
            yield _event(_refused(error).body)
        finally:
            # A reader that went away cancels this task; the call is settled all the same.
            await asyncio.shield(self._settle(call, transcript))

    async def _settle(self, call: Call, transcript: Transcript) -> None:
        """Settle from the upstream's own count; without one in full, for the call may have been made."""
        await self._wallet.settle(call.grant, transcript.usage if transcript.heard else Usage())
        if transcript.heard:
            GATEWAY_CALLS.labels("answered").inc()
            await self._record(call, transcript)

    async def _record(self, call: Call, transcript: Transcript) -> None:
        task_id, sender, number = call.sandbox.task_id, call.sandbox.id, call.grant.number
        if number == 1:
            prompt = transcript.prompt(call.request)
            await self._logs.append(task_id, sender, "prompt", 1, prompt)
        reply = transcript.reply(number, str(call.request["model"]))
        await self._logs.append(task_id, sender, "llm_response", number, reply)
        usage = transcript.usage or Usage()
        GATEWAY_TOKENS.labels("input").inc(usage.input_tokens)
        GATEWAY_TOKENS.labels("output").inc(usage.output_tokens)
        data = {
            "number": number,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
        }
        await self._events.append(task_id, EventType.MODEL_CALL, data, attempt=call.sandbox.attempt)
        await self._hints.tell(f"task:{task_id}")


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _refused(error: ModelError) -> Refused:
    GATEWAY_CALLS.labels(error.code).inc()
    return Refused(
        _STATUS.get(error.code, 502), error.code, error.message, retry_after=error.retry_after
    )


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
