"""What the keeper of a pod decides and keeps, without a cluster."""

import asyncio
import base64
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codexsys_adapters.kubernetes.inside.places import LAST, STAGES
from codexsys_adapters.kubernetes.inside.spool import Spool
from codexsys_adapters.kubernetes.inside.stages import Refused, Stages, answering

USERS = dict.fromkeys((*STAGES, "door", "rules"), os.getuid())
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pod:
    """Stages that meet a keeper over a socket, as containers do."""

    def __init__(self, stages: Stages, path: str) -> None:
        self.stages = stages
        self._path = path
        self._made: list[asyncio.StreamWriter] = []

    async def come(self, name: str) -> asyncio.StreamReader:
        """Be a container that has just started."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        self._made.append(writer)
        writer.write(json.dumps({"name": name}).encode() + b"\n")
        return reader

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._made.append(writer)
        await self.stages.met(reader, writer)

    async def close(self) -> None:
        for writer in self._made:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    path = str(tmp_path / "keeper")
    made = Pod(Stages(door=True, users=USERS, revoked=lambda: None), path)
    server = await asyncio.start_unix_server(made.met, path)
    async with server, asyncio.timeout(20):
        yield made
        await made.close()


def phase(network: str = "none", workspace: str = "write", *allow: str) -> dict[str, Any]:
    return {"network": network, "workspace": workspace, "allow": list(allow)}


OVER = {"over": True}


async def heard(reader: asyncio.StreamReader) -> Any:
    return json.loads(await reader.readline())


async def test_the_order_of_an_agents_sandbox(pod: Pod) -> None:
    workspace = await pod.come("workspace")
    assert await pod.stages.place_for(phase()) == "workspace"
    online = asyncio.create_task(pod.stages.place_for(phase("public", "write", "10.0.0.1/32:80")))
    assert await heard(workspace) == OVER
    assert await heard(await pod.come("rules")) == ["10.0.0.1/32:80"]
    setup = await pod.come("setup")
    assert await online == "setup"
    collected = asyncio.create_task(pod.stages.place_for(phase("none", "sealed")))
    assert await heard(setup) == OVER
    for name in LAST:
        assert not collected.done()
        await pod.come(name)
    assert await collected == "collector"
    agent = asyncio.create_task(pod.stages.place_for(phase("door")))
    await pod.come("door")
    assert await agent == "agent"
    assert await pod.stages.place_for(phase("none", "read")) == "reader"


async def test_nothing_is_opened_that_nobody_wants(pod: Pod) -> None:
    workspace = await pod.come("workspace")
    checks = asyncio.create_task(pod.stages.place_for(phase("none", "sealed")))
    assert await heard(workspace) == OVER
    assert await heard(await pod.come("rules")) is None
    assert await heard(await pod.come("setup")) == OVER
    for name in LAST:
        await pod.come(name)
    assert await checks == "collector"
    with pytest.raises(Refused, match="closed for good"):
        await pod.stages.place_for(phase("public"))


async def test_what_may_be_reached_is_settled_once(pod: Pod) -> None:
    await pod.come("workspace")
    online = asyncio.create_task(pod.stages.place_for(phase("public", "write", "b", "a")))
    await pod.come("setup")
    assert await online == "setup"
    assert await pod.stages.place_for(phase("public", "write", "a", "b")) == "setup"
    with pytest.raises(Refused, match="settled"):
        await pod.stages.place_for(phase("public"))


@pytest.mark.parametrize("name", ["workspace", "keeper", "", "agent-2"])
async def test_a_name_is_taken_once_and_none_is_made_up(pod: Pod, name: str) -> None:
    await pod.come("workspace")
    await pod.stages.there("workspace")
    assert await (await pod.come(name)).read() == b""


async def test_a_name_is_taken_by_its_own_user_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "keeper")
    made = Pod(
        Stages(door=True, users=USERS | {"reader": os.getuid() + 1}, revoked=lambda: None), path
    )
    server = await asyncio.start_unix_server(made.met, path)
    async with server, asyncio.timeout(20):
        assert await (await made.come("reader")).read() == b""
        await made.come("agent")
        await made.stages.there("agent")
        await made.close()


async def test_a_service_is_waited_for_until_it_answers() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        waiting = asyncio.create_task(answering([("words", port)]))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        bound.listen()
        await asyncio.wait_for(waiting, 20)


async def test_at_the_end_all_are_told_and_those_that_come_late(pod: Pod) -> None:
    workspace = await pod.come("workspace")
    await pod.stages.there("workspace")
    await pod.stages.end()
    assert await heard(workspace) == OVER
    for name in ("setup", *LAST):
        assert await heard(await pod.come(name)) == OVER


async def test_output_is_said_again_from_any_offset(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "out")
    asked = asyncio.create_task(said(spool, 0))
    for line in (b"s\n", b"o" + base64.b64encode(b"one") + b"\n", b"w8\n"):
        await spool.hear(line)
    await spool.hear(b"o" + base64.b64encode(b"two") + b"\n")
    await spool.hear(b'e{"exit_code": 0}\n')
    await spool.hear(b"o" + base64.b64encode(b"too late") + b"\n")
    await spool.fail("sandbox_lost", "too late")
    assert await asked == (b"onetwo", {"exit_code": 0})
    assert await said(spool, 2) == (b"etwo", {"exit_code": 0})
    assert await said(spool, 99) == (b"", {"exit_code": 0})


async def said(spool: Spool, offset: int) -> tuple[bytes, Any]:
    data, end = b"", b""
    async for line in spool.lines(offset):
        if line[:1] == b"o":
            data += base64.b64decode(line[1:])
        elif line[:1] == b"e":
            end = line[1:]
    return data, json.loads(end)
