"""Results of evals, as a person and as a program reads them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from tests.evals.run import Result

_COLUMNS: tuple[tuple[str, Callable[[Result], object]], ...] = (
    ("eval", lambda r: r.name),
    ("language", lambda r: r.language),
    ("kind", lambda r: r.kind),
    ("status", lambda r: r.status),
    ("verdict", lambda r: r.verdict or "-"),
    ("passed", lambda r: "yes" if r.passed else "NO"),
    ("steps", lambda r: r.steps),
    ("tokens", lambda r: r.tokens),
    ("cost", lambda r: f"${r.cost_usd:.4f}"),
    ("seconds", lambda r: f"{r.seconds:.1f}"),
)


def table(results: list[Result]) -> str:
    """Return the results as Markdown that is even as plain text, and what they come to."""
    names = [name for name, _ in _COLUMNS]
    rows = [[str(value(each)) for _, value in _COLUMNS] for each in results]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = [_line(names, widths), _line(["-" * width for width in widths], widths)]
    lines += [_line(row, widths) for row in rows]
    return "\n".join([*lines, "", summary(results), *_failures(results)])


def summary(results: list[Result]) -> str:
    """Return how many passed, and what all of them took."""
    passed = sum(each.passed for each in results)
    tokens, cost = sum(each.tokens for each in results), sum(each.cost_usd for each in results)
    return f"{passed} of {len(results)} passed; {tokens} tokens, ${cost:.4f}"


def keep(results: list[Result], *, model: str, at: str, path: Path) -> None:
    """Write them down as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {
        "v": 1,
        "at": at,
        "model": model,
        "passed": sum(each.passed for each in results),
        "results": [asdict(each) for each in results],
    }
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def _line(cells: Iterable[str], widths: list[int]) -> str:
    return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |"


def _failures(results: list[Result]) -> list[str]:
    return [f"\n{each.name} ({each.end_reason}): {each.why}" for each in results if not each.passed]
