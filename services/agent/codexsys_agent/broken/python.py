"""Makes tests of Python fail, by the names that pytest reports."""

import ast
import io
from collections.abc import Iterator
from pathlib import Path

from codexsys_agent.broken.files import texts

_FAILS = "raise AssertionError('made to fail by the platform')"
# Any other decorator may keep what its function raises to itself, and rightly so.
_PLAIN = {
    *("pytest", "mark", "mock", "patch", "unittest", "parametrize", "hypothesis", "given"),
    *("settings", "example", "freeze_time", "responses"),
}
_REPEATED = {"hypothesis", "given", "settings", "example"}
"""Would look for a smaller failure for long."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def break_python(code: Path, wanted: frozenset[str]) -> set[str]:
    """Change files below the code's folder; names are `module.Class::function`, as JUnit has them."""
    names = {name.rpartition("::")[2] for name in wanted}
    broken: set[str] = set()
    for file, text in texts(code, (".py",)):
        try:
            tree = ast.parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
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
    """Put a line that raises into each body; from the last to the first, so that places stay."""
    lines = io.StringIO(text, newline="").readlines()
    for function in sorted(functions, key=lambda each: each.lineno, reverse=True):
        if _runs_to_its_end(function):
            _raise_after(lines, function)
        else:
            _raise_before(lines, function)
    return "".join(lines)


def _raise_after(lines: list[str], function: _Function) -> None:
    """Let the body run: what lies for a test may do so only when the test calls it."""
    last = function.body[-1]
    at, column = (last.end_lineno or last.lineno) - 1, last.end_col_offset or 0
    before = _before(lines, function.body[0])
    if before.strip():  # def f(): pass
        line = lines[at].encode()
        lines[at] = f"{line[:column].decode()}; {_FAILS}{line[column:].decode()}"
        return
    if not lines[at].endswith("\n"):
        lines[at] += "\n"
    lines.insert(at + 1, f"{before}{_FAILS}\n")


def _raise_before(lines: list[str], function: _Function) -> None:
    first = function.body[0]
    before = _before(lines, first)
    if before.strip():
        after = lines[first.lineno - 1].encode()[first.col_offset :].decode()
        lines[first.lineno - 1] = f"{before}{_FAILS}; {after}"
    else:
        lines.insert(_top(first) - 1, f"{before}{_FAILS}\n")


def _before(lines: list[str], statement: ast.stmt) -> str:
    return lines[statement.lineno - 1].encode()[: statement.col_offset].decode()


def _runs_to_its_end(function: _Function) -> bool:
    """Say whether a body that fails nowhere gets to its last line, once."""
    if any(_root(decorator) in _REPEATED for decorator in function.decorator_list):
        return False
    leaves = (ast.Return, ast.Yield, ast.YieldFrom)
    return not any(isinstance(node, leaves) for node in _within(function))


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """Give what belongs to a function itself, not to those inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
            yield child
            yield from _within(child)


def _top(statement: ast.stmt) -> int:
    """Return the line on which a statement begins, with its decorators."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])
