"""The weather may be bad, but what arrives is what was sent."""

import asyncio

from tests.support.fault_proxy import FaultProxy, Weather

SENT = bytes(range(256)) * 64


async def test_each_byte_arrives_once_when_the_weather_changes_on_the_way() -> None:
    async def say(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SENT)
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server, FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        proxy.turn(Weather.SLOW, seconds=0.02)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        first = await reader.readexactly(4096)
        proxy.turn(Weather.CLEAR)
        assert first + await reader.read(-1) == SENT
        writer.close()
