"""Every `LogStore` keeps what the port promises."""

import asyncio

import pytest

from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.logs import SqlLogs
from codexsys_core.attempt import Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Conflict
from codexsys_core.log import CHUNK_BYTES, LogChunk, Piece
from codexsys_core.outcome import Outcome
from codexsys_core.redaction import MARK, SecretRedactor

TASK = "task_of_the_log"


@pytest.fixture
def store(database: Database) -> SqlLogs:
    return SqlLogs(database=database, redactor=SecretRedactor(["hunter2-hunter2"]))


async def whole(store: SqlLogs, stream: str = "agent", after: int = 0) -> bytes:
    return b"".join(chunk.text for chunk in await store.read(TASK, stream, after))


async def test_chunks_follow_each_other(store: SqlLogs) -> None:
    assert await store.append(TASK, "sbx_a", "agent", 1, b"one\n") == 4
    assert await store.append(TASK, "sbx_a", "agent", 2, b"two two\n") == 12
    assert await store.size(TASK, "agent") == 12
    assert await store.read(TASK, "agent", 0) == [
        LogChunk(offset=0, text=b"one\n"),
        LogChunk(offset=4, text=b"two two\n"),
    ]


async def test_streams_and_tasks_are_apart(store: SqlLogs) -> None:
    await store.append(TASK, "sbx_a", "agent", 1, b"one\n")
    assert await store.append(TASK, "sbx_a", "setup", 1, b"two\n") == 4
    assert await store.append("task_other", "sbx_b", "agent", 1, b"three\n") == 6
    assert await whole(store) == b"one\n"


async def test_reading_starts_exactly_where_asked(store: SqlLogs) -> None:
    await store.append(TASK, "sbx_a", "agent", 1, b"one\n")
    await store.append(TASK, "sbx_a", "agent", 2, b"two\n")
    assert await store.read(TASK, "agent", 5) == [LogChunk(offset=5, text=b"wo\n")]
    assert await store.read(TASK, "agent", 4) == [LogChunk(offset=4, text=b"two\n")]
    assert await store.read(TASK, "agent", 8) == []
    assert await store.read(TASK, "agent", 1000) == []


async def test_reading_in_pieces_gives_all(store: SqlLogs) -> None:
    lines = [f"line {n} {'x' * (n % 17)}\n".encode() for n in range(60)]
    for number, line in enumerate(lines, 1):
        await store.append(TASK, "sbx_a", "agent", number, line)
    read, after = b"", 0
    while chunks := await store.read(TASK, "agent", after, limit_bytes=50):
        assert chunks[0].offset == after
        read += b"".join(chunk.text for chunk in chunks)
        after = chunks[-1].end
    assert read == b"".join(lines)


async def test_what_was_never_written_is_empty(store: SqlLogs) -> None:
    assert await store.size(TASK, "verify") == 0
    assert await store.read(TASK, "verify", 0) == []


async def test_a_known_number_is_acknowledged_without_effect(store: SqlLogs) -> None:
    await store.append(TASK, "sbx_a", "agent", 1, b"one\n")
    await store.append(TASK, "sbx_a", "agent", 2, b"two\n")
    assert await store.append(TASK, "sbx_a", "agent", 1, b"one\n") == 4
    assert await store.append(TASK, "sbx_b", "agent", 1, b"other\n") == 14
    assert await whole(store) == b"one\ntwo\nother\n"


async def test_nothing_adds_nothing(store: SqlLogs) -> None:
    await store.append(TASK, "sbx_a", "agent", 1, b"one\n")
    assert await store.append(TASK, "sbx_a", "agent", 2, b"") == 4
    assert await store.append(TASK, "sbx_a", "agent", 3, b"two\n") == 8


async def test_offsets_count_redacted_bytes(store: SqlLogs) -> None:
    end = await store.append(TASK, "sbx_a", "agent", 1, b"pass hunter2-hunter2\n")
    assert await whole(store) == b"pass " + MARK + b"\n"
    assert end == await store.size(TASK, "agent") == len(b"pass " + MARK + b"\n")


async def test_what_is_no_text_becomes_text(store: SqlLogs) -> None:
    end = await store.append(TASK, "sbx_a", "agent", 1, b"\xff\x00 gr\xc3\xbc\n")
    text = await whole(store)
    assert text.decode() == "\ufffd\0 grü\n"
    assert end == len(text)


async def test_an_overlong_line_loses_its_end_after_redaction(store: SqlLogs) -> None:
    line = b"x" * (CHUNK_BYTES - 120) + b" hunter2-hunter2 " + "ü".encode() * CHUNK_BYTES + b"\n"
    end = await store.append(TASK, "sbx_a", "agent", 1, b"short\n" + line + b"last\n")
    first, cut, last = (await whole(store)).splitlines(keepends=True)
    assert (first, last) == (b"short\n", b"last\n")
    assert len(cut) <= CHUNK_BYTES
    assert cut.decode().endswith("[line cut]\n")
    assert MARK in cut
    assert b"hunter2" not in cut
    assert end == await store.size(TASK, "agent")


async def test_private_streams_keep_their_lines_whole(store: SqlLogs) -> None:
    text = b"x" * (CHUNK_BYTES * 20) + b"\n"
    assert await store.append(TASK, "sbx_a", "prompt", 1, text) == len(text)
    assert await whole(store, "prompt") == text


async def test_a_sealed_stream_refuses_but_knows_what_it_has(store: SqlLogs, hold: Hold) -> None:
    task = hold.task_id
    await store.append(task, "sbx_a", "agent", 1, b"one\n")
    assert await store.seal(hold, "agent") == 4
    assert await store.seal(hold, "agent") == 4
    with pytest.raises(Conflict):
        await store.append(task, "sbx_a", "agent", 2, b"two\n")
    assert await store.append(task, "sbx_a", "agent", 1, b"one\n") == 4
    assert await store.size(task, "agent") == 4


async def test_an_empty_stream_can_be_sealed(store: SqlLogs, hold: Hold) -> None:
    assert await store.seal(hold, "verify") == 0
    with pytest.raises(Conflict):
        await store.append(hold.task_id, "sbx_a", "verify", 1, b"late\n")


async def test_the_next_owner_writes_on_and_the_former_cannot_seal(
    store: SqlLogs, database: Database, hold: Hold
) -> None:
    await store.append(hold.task_id, "sbx_a", "agent", 1, b"one\n")
    await store.seal(hold, "agent")
    attempts = SqlAttempts(database=database)
    lost = Outcome(reason=EndReason.STORE_UNAVAILABLE)
    assert await attempts.again(hold, lost, new_attempt_id="att_2", delay_seconds=0)
    assert await store.seal(hold, "agent") is None
    assert await store.append(hold.task_id, "sbx_b", "agent", 1, b"two\n") == 8


async def test_senders_at_once_leave_neither_gap_nor_repeat(store: SqlLogs) -> None:
    async def send(sandbox: int) -> None:
        for number in range(1, 11):
            await store.append(
                TASK, f"sbx_{sandbox}", "agent", number, f"{sandbox}:{number}\n".encode()
            )

    # Twice each, as when an answer got lost.
    await asyncio.gather(*(send(sandbox) for sandbox in [*range(5), *range(5)]))
    chunks = await store.read(TASK, "agent", 0)
    assert len(chunks) == 50
    expected = 0
    for chunk in chunks:
        assert chunk.offset == expected
        expected = chunk.end
    assert expected == await store.size(TASK, "agent")
    for sandbox in range(5):
        mine = [chunk.text for chunk in chunks if chunk.text.startswith(f"{sandbox}:".encode())]
        assert mine == [f"{sandbox}:{number}\n".encode() for number in range(1, 11)]


async def test_lines_of_many_tasks_at_once_do_not_hold_each_other_up(
    store: SqlLogs, hold: Hold
) -> None:
    await store.append(hold.task_id, "sbx_a", "llm_response", 1, b"one\n")
    assert await store.seal(hold, "llm_response") == 4
    await store.append("task_b", "sbx_b", "llm_response", 1, b"known\n")

    async def send(task_id: str, number: int, text: bytes) -> int | None:
        try:
            return await store.append(task_id, "sbx_b", "llm_response", number, text)
        except Conflict:
            return None

    ends = await asyncio.gather(
        send("task_b", 2, b"two\n"),
        send(hold.task_id, 2, b"too late\n"),
        send("task_b", 3, b"x" * CHUNK_BYTES + b"\n"),
        send("task_c", 1, b"hunter2-hunter2\n"),
        send("task_b", 1, b"known\n"),
        send("task_b", 4, b""),
    )
    assert (ends[1], ends[3], ends[4]) == (None, len(MARK) + 1, 6)
    kept = await store.read("task_b", "llm_response", 0)
    assert sorted(len(chunk.text) for chunk in kept) == [4, 6, CHUNK_BYTES + 1]
    assert kept[-1].end == await store.size("task_b", "llm_response") == CHUNK_BYTES + 11


async def test_sealing_at_once_with_senders_keeps_what_was_acknowledged(
    store: SqlLogs, hold: Hold
) -> None:
    async def send(number: int) -> int:
        try:
            return await store.append(hold.task_id, "sbx_a", "agent", number, b"0123456789\n")
        except Conflict:
            return 0

    *ends, sealed = await asyncio.gather(
        *(send(number) for number in range(1, 9)), store.seal(hold, "agent")
    )
    assert sealed == await store.size(hold.task_id, "agent") == max(end or 0 for end in ends)


async def extend(
    store: SqlLogs, piece: Piece, text: bytes, *, sandbox: str = "sbx_a", stream: str = "agent"
) -> int:
    return await store.extend(TASK, sandbox, stream, piece, text)


async def test_pieces_of_a_part_follow_each_other(store: SqlLogs) -> None:
    assert await store.reached(TASK, "sbx_a", "agent", 1) == 0
    assert await extend(store, Piece(1, 0, 4), b"one\n") == 4
    assert await extend(store, Piece(1, 4, 8), b"two\n") == 8
    assert await whole(store) == b"one\ntwo\n"
    assert await store.reached(TASK, "sbx_a", "agent", 1) == 8


async def test_a_piece_that_does_not_follow_changes_nothing_and_says_where_to_go_on(
    store: SqlLogs,
) -> None:
    await extend(store, Piece(1, 0, 8), b"one\ntwo\n")
    assert await extend(store, Piece(1, 0, 4), b"one\n") == 8
    assert await extend(store, Piece(1, 4, 12), b"two\nsix\n") == 8
    assert await extend(store, Piece(1, 99, 120), b"later\n") == 8
    assert await whole(store) == b"one\ntwo\n"


async def test_offsets_of_a_part_count_what_was_said_not_what_is_shown(store: SqlLogs) -> None:
    said = b"pass hunter2-hunter2 \xff\n"
    assert await extend(store, Piece(0, 0, len(said)), said) == len(said)
    assert await store.reached(TASK, "sbx_a", "agent", 0) == len(said)
    assert await store.size(TASK, "agent") == len(b"pass " + MARK + b" \xef\xbf\xbd\n")


async def test_a_part_is_complete_when_a_later_one_has_begun(store: SqlLogs) -> None:
    await extend(store, Piece(1, 0, 4), b"one\n")
    await extend(store, Piece(3, 0, 4), b"two\n")
    assert await store.reached(TASK, "sbx_a", "agent", 1) is None
    assert await store.reached(TASK, "sbx_a", "agent", 2) is None
    assert await store.reached(TASK, "sbx_a", "agent", 3) == 4
    assert await store.reached(TASK, "sbx_a", "agent", 4) == 0
    assert await extend(store, Piece(1, 4, 9), b"late\n") == 9
    assert await whole(store) == b"one\ntwo\n"


async def test_parts_are_of_one_sandbox_and_stream(store: SqlLogs) -> None:
    await extend(store, Piece(5, 0, 4), b"one\n")
    assert await extend(store, Piece(1, 0, 4), b"two\n", sandbox="sbx_b") == 4
    assert await extend(store, Piece(1, 0, 4), b"six\n", stream="setup") == 4
    assert await store.reached(TASK, "sbx_b", "agent", 1) == 4
    assert await whole(store) == b"one\ntwo\n"


async def test_a_sealed_stream_takes_no_piece(store: SqlLogs, hold: Hold) -> None:
    task = hold.task_id
    await store.extend(task, "sbx_a", "agent", Piece(1, 0, 4), b"one\n")
    await store.seal(hold, "agent")
    with pytest.raises(Conflict):
        await store.extend(task, "sbx_a", "agent", Piece(1, 4, 8), b"two\n")
    assert await store.extend(task, "sbx_a", "agent", Piece(1, 0, 4), b"one\n") == 4


async def test_several_who_copy_the_same_output_leave_neither_gap_nor_repeat(
    store: SqlLogs,
) -> None:
    said = b"".join(f"line {number}\n".encode() for number in range(1, 61))

    async def copy(size: int) -> None:
        at = 0
        while at < len(said):
            at = await extend(store, Piece(1, at, min(at + size, len(said))), said[at : at + size])

    await asyncio.gather(*(copy(size) for size in (7, 11, 64, 200)))
    assert await whole(store) == said
