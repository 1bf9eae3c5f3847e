"""Which tests may be said to be broken, where a file's text and a report are matched by name alone."""

from collections import defaultdict


class Claims:
    """A name is claimed only if as many tests of it were changed as the report has: none was left out."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._changed: dict[tuple[str, str], int] = defaultdict(int)
        for name in wanted:
            suite, _, test = name.partition("::")
            self._wanted[_place(suite), _last(test)].add(name)

    def knows(self, place: str, test: str) -> bool:
        """Say whether the report has such a test."""
        return (place, test) in self._wanted

    def add(self, place: str, test: str) -> None:
        """Tell of one that was changed."""
        self._changed[place, test] += 1

    def good(self) -> set[str]:
        """Return the names that must fail now."""
        return {
            name
            for key, names in self._wanted.items()
            if self._changed.get(key) == len(names)
            for name in names
        }


def _place(suite: str) -> str:
    """Return the file of a suite: it stands alone, or in brackets after a program's name."""
    return suite[suite.rfind("(") + 1 : -1] if suite.endswith(")") else suite


def _last(test: str) -> str:
    return test.rpartition("::")[2].rpartition(" > ")[2]
