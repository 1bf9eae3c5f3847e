"""How several processes of one run of tests share them: by groups that are in nobody's way.

(pytest-xdist's own groups, by mark, are lost on pytest 9.2: the name of a test, in which it notes them, cannot be changed there.)
"""

_OWN_SERVERS = ("test_lax_database.py",)
"""Beside chaos: they look for ports for servers of their own, and would find the same ones."""
_LONGEST_FIRST = ("docker", "chaos", "e2e", "contract", "unit")


def group_of(nodeid: str) -> str:
    """Return what is kept together: the tests of a file, but those that would be in one another's way.

    All tests of Docker use one engine, which one of them kills; they are called so.
    """
    file = nodeid.partition("::")[0].removeprefix("tests/")
    if not file.startswith("unit/") and ("docker" in nodeid or file == "e2e/test_images.py"):
        return "docker"
    return "chaos" if file.startswith("chaos/") or file.endswith(_OWN_SERVERS) else file


def turn(nodeid: str) -> int:
    """Return a number, the smaller the earlier a test is to begin."""
    return _LONGEST_FIRST.index(group_of(nodeid).partition("/")[0])
