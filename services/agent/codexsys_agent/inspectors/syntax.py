"""Whether changed files parse, by language: nothing of them is run or imported."""

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from codexsys_agent.inspectors.running import Ran, Tools

Problem = tuple[int, str]
"""Line and message."""
Problems = dict[str, Problem]
"""By path below the code."""
Check = Callable[[list[str], Tools], tuple[Problems, str]]
"""Takes paths below the code; returns what does not parse, and why nothing is known, else empty."""
_PYTHON = """
import json, sys, warnings
warnings.simplefilter("ignore")
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            compile(file.read(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        line, said = getattr(error, "lineno", None), getattr(error, "msg", None)
        print(json.dumps([path, line or 1, str(said or error)]))
"""
# Comments are allowed in these, whatever their names say.
_WITH_COMMENTS = re.compile(r"(?:^|/)(?:[tj]sconfig[^/]*|\.eslintrc|\.babelrc|\.swcrc|devcontainer|deno)\.json$|(?:^|/)\.vscode/")  # fmt: skip
_AT_LINE = re.compile(r"\bline (\d+)")
_SHELL_LINE = re.compile(r"(?:line )?(\d+): (.*)")
_NODE_LINE = re.compile(r"^.*?:(\d+)$", re.MULTILINE)
_NODE_ERROR = re.compile(r"^SyntaxError: (.*)$", re.MULTILINE)
_MODULE = ("outside a module", "'export'", "import.meta", "await is only valid")
_JSX = "Unexpected token '<'"
_GO_LINE = re.compile(r"^(.+?\.go):(\d+):(?:\d+:)? (.*)$", re.MULTILINE)
_RUST = re.compile(r"^error(?:\[\w+\])?: (.*)\n\s*--> (.+?\.rs):(\d+):\d+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parser:
    """How files with some endings are parsed."""

    name: str
    endings: tuple[str, ...]
    check: Check


def parsers_of(paths: Iterable[str]) -> list[tuple[Parser, list[str]]]:
    """Return the parsers that some of the paths are for, each with these."""
    wanted = [path for path in paths if not _WITH_COMMENTS.search(path)]
    pairs = [(each, [p for p in wanted if p.endswith(each.endings)]) for each in PARSERS]
    return [(parser, theirs) for parser, theirs in pairs if theirs]


def _python(paths: list[str], tools: Tools) -> tuple[Problems, str]:
    program = tools.find("python3", tools.code) or sys.executable
    ran = tools.run(
        [program, "-I", "-S", "-B", "-c", _PYTHON, *map(_named, paths)],
        tools.code,
    )
    found: Problems = {}
    for line in ran.out.splitlines():
        try:
            path, number, said = json.loads(line)
            found[str(PurePosixPath(path))] = int(number), str(said)
        except (ValueError, TypeError, RecursionError):
            continue
    return found, _trouble(ran, ok=(0,))


def _read(parse: Callable[[str], Problem | None]) -> Check:
    """Parse the text of each file here."""

    def check(paths: list[str], tools: Tools) -> tuple[Problems, str]:
        found: Problems = {}
        for path in paths:
            try:
                problem = parse((tools.code / path).read_bytes().decode("utf-8-sig"))
            except UnicodeDecodeError:
                problem = 1, "is not UTF-8"
            if problem:
                found[path] = problem
        return found, ""

    return check


def _json(text: str) -> Problem | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno, error.msg
    except (ValueError, RecursionError):
        return 1, "cannot be read"
    return None


def _toml(text: str) -> Problem | None:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        at = _AT_LINE.search(str(error))
        return int(at[1]) if at else 1, str(error)
    return None


def _shell(paths: list[str], tools: Tools) -> tuple[Problems, str]:
    found: Problems = {}
    trouble = ""
    for path in paths:
        shell = _shell_of((tools.code / path).read_bytes()[:200])
        program = tools.find(shell, tools.code) if shell else None
        if program is None:
            continue
        ran = tools.run([program, "-n", _named(path)], tools.code)
        trouble = trouble or ran.trouble
        said = _SHELL_LINE.search(ran.err.partition(_named(path))[2])
        if ran.code and not ran.trouble and said:
            found[path] = int(said[1]), said[2]
    return found, trouble


def _shell_of(head: bytes) -> str:
    first = head.partition(b"\n")[0]
    if not first.startswith(b"#!") or b"bash" in first:
        return "bash"
    return "sh" if re.search(rb"\b(?:sh|dash)\b", first) else ""


def _with(name: str, check: Callable[[str, list[str], Tools], tuple[Problems, str]]) -> Check:
    """Let a program of the sandbox parse them."""

    def with_program(paths: list[str], tools: Tools) -> tuple[Problems, str]:
        program = tools.find(name, tools.code)
        return check(program, paths, tools) if program else ({}, "is not installed in the sandbox")

    return with_program


def _node(program: str, paths: list[str], tools: Tools) -> tuple[Problems, str]:
    found: Problems = {}
    trouble = ""
    for path in paths:
        ran = tools.run([program, "--check", _named(path)], tools.code)
        said = _NODE_ERROR.search(ran.err)
        trouble = trouble or ran.trouble
        if ran.trouble or not ran.code or not said or said[1].startswith(_JSX):
            continue
        if any(word in said[1] for word in _MODULE) and _is_module(path, program, tools):
            continue
        at = _NODE_LINE.search(ran.err)
        found[path] = int(at[1]) if at else 1, said[1]
    return found, trouble


def _is_module(path: str, program: str, tools: Tools) -> bool:
    """Say whether it parses as a module: nothing but its packager may know that it is one."""
    file = tools.code / path
    twin = file.with_name(f"{file.name}.as-a-module.mjs")
    try:
        shutil.copyfile(file, twin)
        return tools.run([program, "--check", str(twin)], tools.code).code == 0
    finally:
        twin.unlink(missing_ok=True)


def _go(program: str, paths: list[str], tools: Tools) -> tuple[Problems, str]:
    ran = tools.run([program, "-e", "-l", *map(_named, paths)], tools.code)
    found: Problems = {}
    for path, line, said in _GO_LINE.findall(ran.err):
        found.setdefault(str(PurePosixPath(path)), (int(line), said))
    return found, ran.trouble


def _rust(program: str, paths: list[str], tools: Tools) -> tuple[Problems, str]:
    found: Problems = {}
    trouble = ""
    for path in paths:
        ran = tools.run([program, "--check", "--edition", "2021", _named(path)], tools.code)
        trouble = trouble or ran.trouble
        for said, place, line in _RUST.findall(ran.err):
            below = str(PurePosixPath(place.removeprefix(f"{tools.code}/")))
            found.setdefault(below, (int(line), said))
    return found, trouble


def _named(path: str) -> str:
    """Return a path that no tool takes for an option."""
    return f"./{path}"


def _trouble(ran: Ran, *, ok: tuple[int, ...]) -> str:
    return ran.trouble or ("" if ran.code in ok else f"ended with exit status {ran.code}")


PARSERS = (
    Parser("python", (".py", ".pyi"), _python),
    Parser("json", (".json",), _read(_json)),
    Parser("toml", (".toml",), _read(_toml)),
    Parser("shell", (".sh", ".bash"), _shell),
    Parser("node", (".js", ".mjs", ".cjs"), _with("node", _node)),
    Parser("gofmt", (".go",), _with("gofmt", _go)),
    Parser("rustfmt", (".rs",), _with("rustfmt", _rust)),
)
