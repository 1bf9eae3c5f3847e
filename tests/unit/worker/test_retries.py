"""When the next attempt is due."""

from codexsys_worker.retries import LONGEST_SECONDS, pause


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause(number, 2.0, 0.0) for number in (1, 2, 3, 4)] == [2, 4, 8, 16]
    assert pause(10, 2.0, 0.0) == pause(1_000_000, 2.0, 0.0) == LONGEST_SECONDS


def test_chance_takes_away_up_to_half() -> None:
    assert pause(3, 2.0, 1.0) == 4
    assert pause(3, 2.0, 0.5) == 6
