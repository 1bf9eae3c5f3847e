"""Makes tests fail on their first line, so that a later run shows whether they are run at all.

Works on what stands in the workspace, before any of it runs, and says on stdout which tests it broke.
"""

import argparse
import ast
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 4 << 20
_FAILS = "raise AssertionError('made to fail by the platform')"
_PASSED_OVER = {".git", "node_modules", "__pycache__", "site-packages"}
# Any other decorator may keep what its function raises to itself, and rightly so.
_PLAIN = {
    *("pytest", "mark", "mock", "patch", "unittest", "parametrize", "hypothesis", "given"),
    *("settings", "example", "freeze_time", "responses"),
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def main(arguments: list[str] | None = None) -> int:
    """Break what tests.json names, as far as it is found."""
    parser = argparse.ArgumentParser(prog="codexsys_agent.breaking")
    for name in ("code", "input"):
        parser.add_argument(f"--{name}", type=Path, default=Path("/app") / name)
    options = parser.parse_args(arguments)
    wanted = frozenset(map(str, json.loads((options.input / "tests.json").read_bytes())))
    json.dump(sorted(break_tests(options.code, wanted)), sys.stdout)
    return 0


def break_tests(code: Path, wanted: frozenset[str]) -> set[str]:
    """Change files below the code's folder; names are `module.Class::function`, as JUnit has them."""
    names = {name.rpartition("::")[2] for name in wanted}
    broken: set[str] = set()
    for file in _python_files(code):
        try:
            text = file.read_bytes().decode()
            tree = ast.parse(text)
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        module = ".".join(file.relative_to(code).with_suffix("").parts)
        found = [
            (function, known)
            for classes, function in _functions(tree, ())
            if function.name in names and (known := _known(module, classes, function, wanted))
        ]
        if found:
            file.write_bytes(_with_failures(text, [function for function, _ in found]).encode())
            broken.update(known for _, known in found)
    return broken


def _python_files(code: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(code):
        folders[:] = [name for name in folders if name not in _PASSED_OVER]
        for name in files:
            file = Path(folder) / name
            if name.endswith(".py") and not file.is_symlink() and file.stat().st_size <= _LARGEST:
                yield file


def _functions(
    node: ast.AST, classes: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], _Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function):
            if all(_root(decorator) in _PLAIN for decorator in child.decorator_list):
                yield classes, child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, (*classes, child.name))
        elif isinstance(child, (ast.If, ast.Try)):
            yield from _functions(child, classes)


def _root(decorator: ast.expr) -> str:
    """Return the name that a decorator begins with."""
    root = decorator
    while isinstance(root, (ast.Call, ast.Attribute)):
        root = root.func if isinstance(root, ast.Call) else root.value
    return root.id if isinstance(root, ast.Name) else ""


def _known(
    module: str, classes: tuple[str, ...], function: _Function, wanted: frozenset[str]
) -> str | None:
    """Return the name by which the report has this test: its modules start at some folder."""
    parts = module.split(".")
    for start in range(len(parts)):
        name = ".".join([*parts[start:], *classes]) + f"::{function.name}"
        if name in wanted:
            return name
    return None


def _with_failures(text: str, functions: list[_Function]) -> str:
    """Put a line that raises on top of each body; from the last to the first, so that places stay."""
    lines = io.StringIO(text, newline="").readlines()
    for function in sorted(functions, key=lambda each: each.lineno, reverse=True):
        first = function.body[0]
        line = lines[first.lineno - 1].encode()
        before, after = line[: first.col_offset].decode(), line[first.col_offset :].decode()
        if before.strip():  # def f(): pass
            lines[first.lineno - 1] = f"{before}{_FAILS}; {after}"
        else:
            lines[_top(first) - 1 : _top(first) - 1] = [f"{before}{_FAILS}\n"]
    return "".join(lines)


def _top(statement: ast.stmt) -> int:
    """Return the line on which a statement begins, with its decorators."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


if __name__ == "__main__":
    sys.exit(main())
