"""A sandbox that takes more than one processor yields, and only while it does."""

from codexsys_adapters.walls.yielding import YIELDING, Yielding


class Group:
    """Uses processors as it is told, and writes down what it weighs."""

    def __init__(self, share: float = 1.0) -> None:
        self.at = 0.0
        self.used = 0.0
        self.told: list[int] = []
        self._yielding = Yielding(
            lambda: self.used, self.told.append, share=share, now=lambda: self.at
        )
        self.looks()

    def runs(self, processors: float, *, seconds: float = 1.0) -> None:
        for _ in range(round(seconds / 0.1)):
            self.at += 0.1 + 1e-9
            self.used += processors * 0.1
            self.looks()

    def looks(self) -> None:
        self._yielding.look()


def test_one_processor_is_nobodys_loss() -> None:
    group = Group()
    group.runs(1.0)
    assert group.told == []


def test_more_yields_until_it_is_less_again() -> None:
    group = Group()
    group.runs(2.0)
    assert group.told == [YIELDING]
    group.runs(1.05)
    assert group.told == [YIELDING]
    group.runs(0.5, seconds=3)
    assert group.told == [YIELDING, 1]


def test_bursts_with_short_rests_between_yield_all_the_time() -> None:
    group = Group()
    for _ in range(20):
        group.runs(2.0, seconds=0.5)
        group.runs(0.1, seconds=0.3)
    assert group.told == [YIELDING]


def test_a_share_of_half_a_processor() -> None:
    group = Group(share=0.5)
    group.runs(0.5)
    assert group.told == []
    group.runs(0.6)
    assert group.told == [YIELDING]


def test_about_one_does_not_change_back_and_forth() -> None:
    group = Group()
    for _ in range(10):
        group.runs(1.05)
        group.runs(0.95)
    assert group.told == []


def test_a_look_too_soon_says_nothing() -> None:
    group = Group()
    group.at, group.used = 0.01, 1.0
    group.looks()
    assert group.told == []
