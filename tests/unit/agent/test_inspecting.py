"""What is found in changed files beside the checks: by parsers, linters and formatters, honest and hostile ones."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.agent.conftest import Sandbox, git

from codexsys_agent.inspectors.configured import TOOLS, uses
from codexsys_agent.inspectors.finding import Finding, on_changed_lines, touched
from codexsys_agent.inspectors.look import Look
from codexsys_agent.inspectors.running import Tools
from codexsys_agent.inspectors.told import eslint, flake8, ruff, shellcheck, vet
from codexsys_agent.private_git import PrivateGit

BIN = "node_modules/.bin"
SCRIPT = "#!/bin/sh\n"


@dataclass
class Change:
    """A base, files that are changed in it, and what is in the sandbox beside."""

    sandbox: Sandbox

    def base(self, files: dict[str, str]) -> None:
        self._write(files)
        git(self.sandbox.code, "add", "-A")
        git(self.sandbox.code, "commit", "-q", "-m", "more", "--allow-empty")
        git(self.sandbox.base, "fetch", "-q", str(self.sandbox.code), "+base:base")

    def installed(self, name: str, script: str) -> None:
        """Put a program where a package manager puts its own."""
        place = self.sandbox.code / BIN / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(SCRIPT + script)
        place.chmod(0o755)

    def said(self, files: dict[str, str], *, path: str | None = None, seconds: float = 30) -> tuple[list[Finding], list[str]]:  # fmt: skip
        """Return findings and notes of a look at these files, of which every line counts as changed."""
        code = self.sandbox.code
        self._write(files)
        git(code, "add", "-A", "--", *files)
        patch = git(code, "diff", "--cached", "--binary", "base")
        for name in files:
            (code / name).write_text("what ran before wrote this")
        scratch = self.sandbox.root / "scratch"
        scratch.mkdir(exist_ok=True)
        tools = Tools(
            code=code,
            env={"PATH": path or os.environ["PATH"], "HOME": str(self.sandbox.root)},
            changed=frozenset(files),
            until=time.monotonic() + seconds,
        )
        lines = dict.fromkeys(files, ((1, 10000),))
        private = PrivateGit(base=self.sandbox.base, scratch=scratch)
        look = Look(tools=tools, git=private, scratch=scratch, lines=lines, changed=frozenset(files))  # fmt: skip
        look.lay_out(patch)
        told = list(look.all())
        notes = [each for each in told if isinstance(each, str)]
        return [each for each in told if isinstance(each, Finding)], notes

    def _write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            place = self.sandbox.code / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)


@pytest.fixture
def change(sandbox: Sandbox) -> Change:
    return Change(sandbox)


def places(found: Iterable[Finding]) -> list[tuple[str, str, int, str]]:
    return [(each.kind, each.path, each.line, each.tool) for each in found]


@pytest.mark.parametrize(
    ("path", "text", "line", "tool"),
    [
        ("a.py", "x = 1\ndef f(:\n    pass\n", 2, "python"),
        ("a.py", "x = 1\0\n", 1, "python"),
        ("a.pyi", "x: int\ny: (\n", 2, "python"),
        ("a.py", "(" * 500, 1, "python"),
        ("a.json", '{\n  "a": 1,\n}\n', 3, "json"),
        ("a.json", "[" * 100_000, 1, "json"),
        ("a.toml", "a = 1\nb = \n", 2, "toml"),
        ("a.sh", "echo 1\nif true; then\n", 3, "shell"),
        ("a.sh", "#!/bin/sh\nfi\n", 2, "shell"),
        ("a.js", "let a = 1;\nlet b = ;\n", 2, "node"),
        ("a.mjs", "import a from 'a';\nexport const b = {;\n", 2, "node"),
        ("-a.js", "let = = 1;\n", 1, "node"),
        ("a.go", "package a\n\nfunc f( {\n", 3, "gofmt"),
    ],
)
def test_what_does_not_parse_is_found(change: Change, path: str, text: str, line: int, tool: str) -> None:  # fmt: skip
    found, _ = change.said({path: text})
    assert places(found) == [("syntax", path, line, tool)]
    assert found[0].message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "x = 1\n"),
        ("a.py", "# coding: latin-1\nx = '\xe9'\n"),
        ("a.py", "raise SystemExit('it was run')\n"),
        ("a.js", "import a from 'a';\nexport default a;\n"),
        ("a.js", "const a = <b>c</b>;\n"),
        ("a.js", "#!/usr/bin/env node\nreturn;\n"),
        ("tsconfig.json", "{\n  // strict\n  'a': 1,\n}\n"),
        (".vscode/settings.json", "{ // mine\n}\n"),
        ("a.json", '\ufeff{"a": 1}\n'),
        ("a.sh", "#!/bin/zsh\nfor a (b) echo\n"),
        ("a.sh", "a=(1 2)\n[[ $a == 1 ]]\n"),
        ("a.go", "package a\n"),
        ("a.txt", "(((\n"),
    ],
)
def test_what_parses_is_not(change: Change, path: str, text: str) -> None:
    assert change.said({path: text})[0] == []


def test_what_did_not_parse_before_is_nobodys_fault(change: Change) -> None:
    change.base({"old.py": "print 'two'\n", "good.py": "x = 1\n"})
    found, _ = change.said({"old.py": "print 'three'\n", "good.py": "x =\n"})
    assert places(found) == [("syntax", "good.py", 1, "python")]


def test_the_repositorys_own_linters_are_run_and_say_where(change: Change) -> None:
    change.base({"pyproject.toml": "[tool.ruff]\nlint.select = ['F']\n\n[tool.ruff.format]\n"})
    found, notes = change.said({"pkg/a.py": "import os\nx=1\n", "-b.py": "import json\n"})
    lints = [("lint", "-b.py", 1, "ruff"), ("lint", "pkg/a.py", 1, "ruff")]
    assert places(found) == [*lints, ("format", "pkg/a.py", 2, "ruff format")]
    assert found[0].message.startswith("F401 ")
    assert notes == ["Looked at by python, ruff, ruff format."]


def test_settings_are_those_of_the_base(change: Change) -> None:
    change.base({"ruff.toml": "lint.select = ['F']\n"})
    ours = {"ruff.toml": "lint.select = []\n", "sub/.ruff.toml": "lint.select = []\n"}
    found, _ = change.said({"sub/a.py": "import os\n", **ours})
    assert places(found) == [("lint", "sub/a.py", 1, "ruff")]


def test_what_is_configured_and_not_installed_is_said(change: Change) -> None:
    change.base({".flake8": "[flake8]\n", "web/.prettierrc": "{}\n", "go.mod": "module a\n"})
    files = {"a.py": "x = 1\n", "web/a.css": "a {}\n", "a.css": "a {}\n"}
    found, notes = change.said(files, path="/usr/bin:/bin")
    assert (found, notes[:2]) == (
        [],
        [
            "flake8 is configured by .flake8, but not installed in the sandbox.",
            "prettier is configured by web/.prettierrc, but not installed in the sandbox.",
        ],
    )


def test_nothing_is_run_that_nobody_configured(change: Change) -> None:
    change.installed("eslint", "echo it was run >&2; exit 3")
    assert change.said({"a.ts": "let a;\n"}) == ([], [])


def test_go_is_formatted_and_vetted(change: Change) -> None:
    change.base({"go.mod": "module example.org/a\n\ngo 1.18\n", "a.go": "package a\n"})
    change.installed("go", "test \"$*\" = 'vet ./.' && echo './a.go:4:2: wrong' >&2; exit 1")
    found, _ = change.said({"a.go": "package a\n\nfunc F() {\n  F()\n}\n"})
    assert places(found) == [("lint", "a.go", 4, "go vet"), ("format", "a.go", 4, "gofmt")]


def test_a_formatter_that_breaks_files_leaves_them_as_they_were(change: Change) -> None:
    change.base({"package.json": '{"prettier": {}}', ".eslintrc": "{}\n"})
    change.installed("prettier", "for last; do :; done; echo 'other' > $last")
    change.installed("eslint", "echo '[]'")
    found, notes = change.said({"a.js": "let a = 1;\nlet b = 2;\n"})
    assert places(found) == [("format", "a.js", 1, "prettier")]
    assert (change.sandbox.code / "a.js").read_text() == "let a = 1;\nlet b = 2;\n"
    assert notes == ["Looked at by node, eslint, prettier."]


HOSTILE = {
    "floods": ("cat /dev/zero", "said more than is read"),
    "floods the other pipe": ("cat /dev/zero >&2", "said more than is read"),
    "says what is no JSON": ("echo '[{\"filePath\": 3'", "nothing to read"),
    "says another form": ("echo '{}'", "nothing to read"),
    "says no number": (
        'echo \'[{"filePath": "a.ts", "messages": [{"line": 1e999}]}]\'',
        "nothing to read",
    ),
    "nests": ("head -c 100000 /dev/zero | tr '\\0' '['", "nothing to read"),
    "ends": ("exit 3", "exit status 3"),
    "is killed": ("kill -9 $$", "exit status -9"),
    "hangs": ("sleep 600", "was ended after"),
    "leaves something that holds its pipes": ("sleep 600 & exit 4", "exit status 4"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tool_is_bounded_and_said_to_be(change: Change, name: str) -> None:
    script, note = HOSTILE[name]
    change.base({"eslint.config.js": "export default [];\n"})
    change.installed("eslint", script)
    found, notes = change.said({"a.ts": "let a;\n"}, seconds=2)
    assert found == []
    assert len(notes) == 1
    assert notes[0].startswith("eslint ")
    assert note in notes[0]


def test_a_tool_that_the_change_brings_is_not_run(change: Change) -> None:
    change.base({"eslint.config.js": "export default [];\n"})
    brought = {f"{BIN}/eslint": "#!/bin/sh\ntouch /tmp/was-run\n", "a.ts": "let a;\n"}
    (change.sandbox.code / BIN).mkdir(parents=True)
    _, notes = change.said(brought)
    assert notes == ["eslint is configured by eslint.config.js, but not installed in the sandbox."]


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (ruff, json.dumps([{"filename": "/c/a.py", "location": {"row": 2}, "end_location": {"row": 3}, "code": "F1", "message": "m"}]), ("/c/a.py", 2, 3, "F1 m")),
        (ruff, json.dumps([{"filename": "a.py", "location": {"row": 2}, "end_location": {"row": 2}, "code": None, "message": "m"}]), ("a.py", 2, 2, "error m")),
        (eslint, json.dumps([{"filePath": "/c/a.ts", "messages": [{"ruleId": "semi", "line": 4, "endLine": 5, "message": "m"}]}]), ("/c/a.ts", 4, 5, "semi m")),
        (eslint, json.dumps([{"filePath": "a.ts", "messages": [{"ruleId": None, "fatal": True, "message": "m"}]}]), ("a.ts", 1, 1, "error m")),
        (shellcheck, json.dumps([{"file": "a.sh", "line": 1, "endLine": 2, "code": 2086, "message": "m"}]), ("a.sh", 1, 2, "SC2086 m")),
        (flake8, "./a.py:3:1: F401 'os' imported\n", ("./a.py", 3, 3, "F401 'os' imported")),
        (vet, "# example.org/a\n./a.go:6:2: fmt.Printf format %d\n", ("./a.go", 6, 6, "fmt.Printf format %d")),
        (vet, "# a\nvet: ./a.go:6:2: undefined: x\n", ("./a.go", 6, 6, "undefined: x")),
    ],
)  # fmt: skip
def test_what_tools_say_is_read(read: object, text: str, told: tuple[str, int, int, str]) -> None:
    assert callable(read)
    assert list(read(text)) == [told]


def test_only_changed_lines_count() -> None:
    ranges = ((3, 4), (8, 8))
    spans = [(1, 2), (1, 3), (4, 9), (5, 7), (8, 1)]
    assert [touched(ranges, *span) for span in spans] == [None, 3, 4, None, None]
    told = [("a.py", 8, 1, "m"), ("a.py", 5, 5, "m"), ("b.py", 3, 3, "m")]
    kept = on_changed_lines("lint", "t", told, {"a.py": ranges})
    assert [(each.path, each.line) for each in kept] == [("a.py", 8)]


@pytest.mark.parametrize(
    ("settings", "path", "names"),
    [
        ({"pyproject.toml": "[tool.ruff.lint]\n"}, "a.py", ["ruff"]),
        ({"pyproject.toml": "# [tool.ruff]\n[tool.other]\n"}, "a.py", []),
        ({"pyproject.toml": "[tool.black]\n"}, "a/b.py", ["black"]),
        ({"setup.cfg": "[metadata]\n[flake8]\n"}, "a.py", ["flake8"]),
        ({".pre-commit-config.yaml": "    - id: ruff-format\n"}, "a.py", ["ruff format"]),
        ({"package.json": '{"devDependencies": {"prettier": "3"}}'}, "a.ts", []),
        ({"package.json": '{"prettier": "x", "eslintConfig": {}}'}, "a.ts", ["eslint", "prettier"]),
        ({"package.json": "[" * 100_000}, "a.ts", []),
        ({"web/eslint.config.mjs": ""}, "web/src/a.ts", ["eslint"]),
        ({"web/eslint.config.mjs": ""}, "api/a.ts", []),
        ({".shellcheckrc": ""}, "a.sh", ["shellcheck"]),
        ({"go.mod": ""}, "a.go", ["go vet", "gofmt"]),
        ({"Cargo.toml": ""}, "src/a.rs", ["rustfmt"]),
        ({"ruff.toml": ""}, "a.js", []),
    ],
)
def test_tools_are_those_that_settings_name(settings: dict[str, str], path: str, names: list[str]) -> None:  # fmt: skip
    found = uses(settings, [path], lambda name: settings[name].encode())
    assert [use.tool.name for use in found] == names


def test_the_nearest_settings_count() -> None:
    settings = ["ruff.toml", "sub/ruff.toml"]
    found = uses(settings, ["a.py", "sub/b.py", "sub/c/d.py"], lambda _: None)
    assert [(use.folder, use.paths) for use in found] == [
        (".", ("a.py",)),
        ("sub", ("sub/b.py", "sub/c/d.py")),
    ]
    assert len({tool.name for tool in TOOLS}) == len(TOOLS)


def test_the_program_says_what_it_finds_a_line_each(sandbox: Sandbox) -> None:
    code = sandbox.code
    (code / "a.py").write_text("x =\n")
    git(code, "add", "a.py")
    order = {"lines": {"a.py": [[1, 1]]}, "changed": ["a.py"], "seconds": 20}
    sandbox.lay("inspect.json", order)
    (sandbox.root / "input/patch").write_bytes(git(code, "diff", "--cached", "base"))
    assert said_by_the_program(sandbox) == [
        {"kind": "syntax", "path": "a.py", "line": 1, "tool": "python", "message": "invalid syntax"},
        {"note": "Looked at by python."},
    ]  # fmt: skip
    (sandbox.root / "input/patch").write_bytes(b"no patch")
    (note,) = said_by_the_program(sandbox)
    assert note["note"].startswith("The changed files could not be looked at: git apply")


def said_by_the_program(sandbox: Sandbox) -> list[dict[str, str]]:

    root = Path(__file__).resolve().parents[3]
    names = [("--code", sandbox.code), ("--input", sandbox.root / "input"), ("--base", sandbox.base)]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "codexsys_agent.inspecting", *(str(part) for pair in names for part in pair)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(root / "services/agent")},
        capture_output=True,
        check=False,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]
