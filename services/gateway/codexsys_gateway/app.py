"""The gateway's routes: what a door may ask for."""

import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from codexsys_core.artifact import ObjectStore
from codexsys_core.errors import Conflict, PlatformError, Unavailable
from codexsys_core.event import EventType
from codexsys_core.sandbox import Sandbox
from codexsys_core.task import TaskStore
from codexsys_gateway import chat, responses, responses_request
from codexsys_gateway.calls import Calls
from codexsys_gateway.control import Control
from codexsys_gateway.reading import body_of, json_of
from codexsys_gateway.refusals import Refused, not_allowed
from codexsys_gateway.reports import Reports
from codexsys_gateway.streams import Events, answer
from codexsys_gateway.tokens import Tokens
from codexsys_gateway.turns import Turn
from codexsys_gateway.upstream_request import build

MIB = 1024 * 1024
MOST_CALL_BYTES = 16 * MIB
MOST_EVENT_BYTES = 1 * MIB
MOST_LOG_BYTES = 8 * MIB
MOST_CHECKPOINT_BYTES = 96 * MIB
MOST_OUTPUT_BYTES = 16 * MIB
T = TypeVar("T")
Handler = Callable[[Sandbox, Request], Awaitable[Response]]


class Routes:
    """One method a route; each is given the sandbox that asks."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        calls: Calls,
        reports: Reports,
        control: Control,
        tasks: TaskStore,
        objects: ObjectStore,
    ) -> None:
        self._tokens = tokens
        self._calls = calls
        self._reports = reports
        self._control = control
        self._tasks = tasks
        self._objects = objects

    def close(self) -> None:
        """Let go of every door that waits for news."""
        self._control.close()

    def routes(self) -> list[Route]:
        """Return the table."""
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/chat/completions", self._chat),
            ("POST", "/v1/responses", self._responses),
            ("POST", "/v1/events", self._event),
            ("POST", "/v1/logs", self._log),
            ("PUT", "/v1/checkpoint", self._checkpoint),
            ("PUT", "/v1/outputs/{name}", self._output),
            ("GET", "/v1/workspace", self._workspace),
            ("GET", "/v1/control", self._poll),
        ]
        return [
            Route(path, self._guarded(handler), methods=[method]) for method, path, handler in table
        ]

    def _guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        calls = handler in (self._chat, self._responses)
        whose = self._tokens.caller if calls else self._tokens.sandbox

        async def guarded(request: Request) -> Response:
            try:
                return await handler(await whose(request), request)
            except Refused as refused:
                return refused.response
            except RecursionError:
                return not_allowed("The body is nested too deeply.").response
            except Unavailable as error:
                return Refused(
                    503, error.code, error.message, retry_after=error.retry_after or 2
                ).response
            except Conflict as error:
                return Refused(409, error.code, error.message).response
            except PlatformError as error:
                return Refused(400, error.code, error.message).response

        return guarded

    async def _chat(self, sandbox: Sandbox, request: Request) -> Response:
        turn, body, wanted = await self._asked(sandbox, request, build)
        chunks = self._calls.chunks(turn, sandbox, wanted)
        if body.get("stream"):
            return Events(await chat.streamed(chunks))
        return answer(await chat.answered(chunks))

    async def _responses(self, sandbox: Sandbox, request: Request) -> Response:
        turn, body, asked = await self._asked(sandbox, request, responses_request.build)
        chunks = self._calls.chunks(turn, sandbox, asked.wanted)
        response = responses.Response(asked.tools)
        if body.get("stream"):
            return Events(await responses.streamed(chunks, response))
        return answer(await responses.answered(chunks, response))

    async def _asked(
        self, sandbox: Sandbox, request: Request, built: Callable[[dict[str, Any]], T]
    ) -> tuple[Turn, dict[str, Any], T]:
        """Read a call once it is its turn: what waits is not held in memory."""
        turn = await self._calls.turn(sandbox)
        try:
            body = await json_of(request, MOST_CALL_BYTES)
            return turn, body, built(body)
        except BaseException:
            turn.give_up()
            raise

    async def _event(self, sandbox: Sandbox, request: Request) -> Response:
        body = await json_of(request, MOST_EVENT_BYTES)
        stored = await self._reports.event(sandbox, body)
        if body["type"] == EventType.AGENT_MESSAGE:
            await self._control.heard(sandbox, body["data"])
        return JSONResponse(stored, status_code=202)

    async def _log(self, sandbox: Sandbox, request: Request) -> Response:
        body = await json_of(request, MOST_LOG_BYTES)
        return JSONResponse(await self._reports.log(sandbox, body), status_code=202)

    async def _checkpoint(self, sandbox: Sandbox, request: Request) -> Response:
        body = await json_of(request, MOST_CHECKPOINT_BYTES)
        return JSONResponse(await self._reports.checkpoint(sandbox, body), status_code=202)

    async def _output(self, sandbox: Sandbox, request: Request) -> Response:
        data = await body_of(request, MOST_OUTPUT_BYTES)
        stored = await self._reports.output(sandbox, request.path_params["name"], data)
        return JSONResponse(stored, status_code=202)

    async def _workspace(self, sandbox: Sandbox, _: Request) -> Response:
        task = await self._tasks.get(sandbox.task_id, tenant_id=sandbox.tenant_id)
        if task.base is None or task.base.object is None:
            raise Refused(404, "not_found", "The base is not stored yet.")
        return StreamingResponse(
            self._objects.stream(task.base.object), media_type="application/gzip"
        )

    async def _poll(self, sandbox: Sandbox, request: Request) -> Response:
        query = request.query_params
        try:
            after, wait = int(query.get("after", "0")), float(query.get("wait", "25"))
        except ValueError:
            raise not_allowed("after and wait are numbers.") from None
        if not math.isfinite(wait):  # it would be waited for without end
            raise not_allowed("wait is a number of seconds.")
        return JSONResponse(await self._control.poll(sandbox, after=after, wait=wait))


def create_app(routes: Routes, health: list[Route]) -> Starlette:
    """Build the application."""
    return Starlette(routes=[*routes.routes(), *health])
