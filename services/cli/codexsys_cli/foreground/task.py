"""The one task of a run: handed in, followed, and what came of it written down."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from rich.console import Console

from codexsys_cli.foreground.order import Order
from codexsys_cli.foreground.outcome import hand_out, result_of
from codexsys_cli.output import say
from codexsys_cli.progress import follow
from codexsys_cli.submission import Wishes, hand_in
from codexsys_cli.whole import Running
from codexsys_client import Client, ClientError, Event, Task

SIGNALS = (signal.SIGINT, signal.SIGTERM)
Told = Callable[[list[Event]], None]


class ForegroundTask:
    """A service that ends when the task is over. The first signal cancels the task, the second ends all."""

    def __init__(self, *, running: Running, order: Order, console: Console, told: Told) -> None:
        self._api = running.api
        self._key = running.account.key
        self._sandbox = running.platform.settings.sandbox
        self._order = order
        self._console = console
        self._told = told
        self._task_id = ""
        self._abandoned = asyncio.Event()
        self.signal = 0
        """The first one that came."""
        self.task: Task | None = None
        self.result: dict[str, Any] | None = None

    async def run(self) -> None:
        """Wait until the API answers, then do it all."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:  # in place of what would stop the services under the task
            loop.add_signal_handler(number, self._asked_to_stop, number)
        await self._api.serving()
        work = asyncio.create_task(asyncio.to_thread(self._work))
        abandoned = asyncio.create_task(self._abandoned.wait())
        await asyncio.wait([work, abandoned], return_when=asyncio.FIRST_COMPLETED)
        abandoned.cancel()
        if work.done():
            work.result()
        else:
            work.add_done_callback(_forgotten)

    def stop(self) -> None:
        """Expect no more answers: the API stops with us."""
        self._abandoned.set()

    def _asked_to_stop(self, number: int) -> None:
        if self.signal:
            self._abandoned.set()
            return
        self.signal = number
        say("codexsys: cancelling the task; once more ends at once")
        asyncio.get_running_loop().run_in_executor(None, self._cancel)

    def _client(self) -> Client:
        return Client(self._api.url, self._key, patience_seconds=0)

    def _work(self) -> None:
        with self._client() as client:
            self._task_id = self._hand_in(client)["id"]
            if self.signal:  # it came before there was anything to cancel
                self._cancel()
            task = follow(client, self._task_id, self._console, patience_seconds=0, told=self._told)
            self.result = result_of(
                task,
                named=self._order.task_id,
                sandbox=self._sandbox,
                out=self._order.out,
                files=hand_out(client, task, self._order),
            )
            self.task = task

    def _hand_in(self, client: Client) -> Task:
        order = self._order
        wishes = Wishes(
            source=order.source,
            prompt=order.prompt,
            ref=order.ref or None,
            mode=order.mode,
            checks=order.checks or None,
            setup=order.setup or None,
            model=order.model or None,
            engine="command" if order.command else "builtin",
            command=order.command or None,
            clarify="assume",  # nobody is there to be asked
            limits={"verify_rounds": order.iterations - 1},
        )
        return hand_in(client, wishes)

    def _cancel(self) -> None:
        if not self._task_id:
            return
        try:
            with self._client() as client:
                client.cancel(self._task_id)
        except ClientError:
            self._abandoned.set()


def _forgotten(work: "asyncio.Task[None]") -> None:
    """Look at how it ended, so that nobody is told of it."""
    if not work.cancelled():
        work.exception()
