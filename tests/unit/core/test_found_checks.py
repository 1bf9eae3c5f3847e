"""How a project checks itself, read from its files."""

import pytest

from codexsys_core.found_checks import find_checks

PYTEST = "python3 -m pytest -q"
WORKFLOW = "jobs:\n  test:\n    steps:\n      - uses: a/b@v1\n      - run: pip install .\n      - run: python -m pytest tests -x\n"


async def found(files: dict[str, str]) -> tuple[str, str] | None:
    async def read(path: str) -> bytes | None:
        text = files.get(path)
        return None if text is None else text.encode()

    checks = await find_checks(files, read)
    return (checks.command, checks.place) if checks else None


@pytest.mark.parametrize(
    ("files", "command", "place"),
    [
        ({"pytest.ini": ""}, PYTEST, "pytest.ini"),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, PYTEST, "pyproject.toml"),
        ({"setup.cfg": "[metadata]\n[tool:pytest]\n"}, PYTEST, "setup.cfg"),
        ({"a.py": "", "tests/unit/test_a.py": ""}, PYTEST, "tests/unit/test_a.py"),
        ({"package.json": '{"scripts": {"test": "node --test"}}'}, "npm test", "package.json"),
        ({"go.mod": "", "Makefile": "test:\n"}, "go test ./...", "go.mod"),
        ({"Cargo.toml": ""}, "cargo test", "Cargo.toml"),
        ({"Makefile": "all:\n\ncheck: all\n\ttrue\n"}, "make check", "Makefile"),
        ({".github/workflows/ci.yml": WORKFLOW}, "python -m pytest tests -x", ".github/workflows/ci.yml"),
        ({".gitlab-ci.yml": "t:\n  script:\n    - make test\n"}, "make test", ".gitlab-ci.yml"),
    ],
)  # fmt: skip
async def test_checks_are_found(files: dict[str, str], command: str, place: str) -> None:
    assert await found(files) == (command, place)


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": ""},
        {"pyproject.toml": "[project]\nname = 'pytest'\n# [tool.pytest]\n"},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "[" * 100_000},
        {"package.json": '{"scripts": []}'},
        {"Makefile": "test := 1\ntests:\n"},
        {".gitlab-ci.yml": "script: pytest $ARGS; curl x\n"},
        {".gitlab-ci.yml": " \n" * 80_000 + "-" * 10_000},
        {"Makefile": "test:\n" + "#" * 300_000},
        {"sub/test_a.py": "", "sub/go.mod": ""},
        {"tests/test_\udcff.py": ""},
    ],
)
async def test_nothing_is_guessed(files: dict[str, str]) -> None:
    assert await found(files) is None
