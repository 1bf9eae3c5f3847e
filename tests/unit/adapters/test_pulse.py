"""A store that is slow and one that is silent: what those who wait for it are told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

from urllib3.exceptions import TimeoutError as SilentError

from codexsys_adapters.s3.clients import S3Address
from codexsys_adapters.s3.pulse import Pulse

ANSWER = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Store:
    """Counts who asks, and answers those it is told to."""

    def __init__(self, answers: Callable[[int], bool]) -> None:
        self.asked = 0
        self._answers = answers

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        with closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            if self._answers(self.asked):
                writer.write(ANSWER)
            else:
                await reader.read()  # until whoever asks gives up


@asynccontextmanager
async def felt(store: Store) -> AsyncIterator[Pulse]:
    async with await asyncio.start_server(store.handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with closing(Pulse(S3Address.parse(f"s3://127.0.0.1:{port}"), 1.0)) as pulse:
            yield pulse


def never() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


async def test_all_who_wait_hear_of_silence_at_once() -> None:
    store = Store(lambda _number: False)
    async with felt(store) as pulse:
        waiting = (pulse.felt_until(never()) for _ in range(100))
        told = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, SilentError) for each in told)
    assert store.asked <= 3


async def test_a_late_answer_is_nobodys_end_while_others_are_answered() -> None:
    late, another = never(), never()

    def answers(number: int) -> bool:
        if number == 1:
            another.set_result(None)
        if number == 3:
            late.set_result(None)
        return number > 1

    async with felt(Store(answers)) as pulse:
        await asyncio.gather(pulse.felt_until(late), pulse.felt_until(another))
