"""A container's log over connections that break anywhere."""

import random

import pytest

from codexsys_adapters.kubernetes.runs.log import Stamped

TIMES = [
    "2026-01-01T00:00:01.5Z",
    "2026-01-01T00:00:01.52Z",
    "2026-01-01T00:00:01.52Z",
    "2026-01-01T00:00:02Z",
    "2026-01-01T00:00:02.000000001Z",
    "2026-01-01T00:00:02.1Z",
]
LINES = [b"one\n", b"the same\n", b"the same\n", b"\n", "später\n".encode(), b"no end of a line"]
WHOLE = b"".join(LINES)


def served(since: str | None) -> bytes:
    """Return what the API server would say: whole lines from a second on."""
    lines = zip(TIMES, LINES, strict=True)
    return b"".join(
        f"{at} ".encode() + line for at, line in lines if not since or at[:19] >= since[:19]
    )


def test_in_one_go() -> None:
    assert Stamped().take(served(None)) == WHOLE


def test_byte_by_byte() -> None:
    stamped = Stamped()
    data = served(None)
    assert b"".join(stamped.take(data[at : at + 1]) for at in range(len(data))) == WHOLE


@pytest.mark.parametrize("cut", range(1, len(served(None))))
def test_cut_off_anywhere_nothing_is_missing_and_nothing_comes_twice(cut: int) -> None:
    stamped = Stamped()
    heard = stamped.take(served(None)[:cut])
    stamped.reconnected()
    assert heard + stamped.take(served(stamped.since)) == WHOLE


@pytest.mark.parametrize("seed", range(50))
def test_cut_off_again_and_again(seed: int) -> None:
    chance = random.Random(seed)
    stamped, heard = Stamped(), b""
    for _ in range(12):
        data = served(stamped.since)
        heard += stamped.take(data[: chance.randrange(len(data) + 1)])
        stamped.reconnected()
    assert heard + stamped.take(served(stamped.since)) == WHOLE


def test_a_clock_that_goes_back_hides_nothing() -> None:
    stamped = Stamped()
    assert stamped.take(b"2026-01-01T00:00:09Z a\n2026-01-01T00:00:03Z b\n") == b"a\nb\n"


def test_a_log_that_was_thrown_away_meanwhile_goes_on_with_what_is_there() -> None:
    stamped = Stamped()
    assert stamped.take(b"2026-01-01T00:00:01Z a long line\n") == b"a long line\n"
    stamped.reconnected()
    assert stamped.take(b"2026-01-01T00:00:07Z b\n") == b"b\n"


def test_a_word_of_the_kubelet_is_passed_on() -> None:
    said = b"unable to retrieve container logs for containerd://" + b"0" * 64
    assert Stamped().take(said) == said  # though it has no time
