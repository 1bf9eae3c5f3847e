"""Colours source code line by line, in time that grows with the line and not faster, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

MOST = 1000
"""A longer line stays plain: nobody reads its colours."""

Token = tuple[str, str]
"""The class of the stylesheet, or nothing, and the text."""


@dataclass(frozen=True)
class Language:
    """What comments, strings and words look like; `spans` run over lines, each from opening to closing."""

    words: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    comments: tuple[str, ...] = ()
    spans: tuple[tuple[str, str], ...] = ()
    quotes: str = "\"'"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_C = "break case continue default do else for goto if return switch while "
_C_TYPES = (
    "bool char double float int long short signed unsigned void struct union enum static const "
)
_JS = (
    _C
    + "async await catch class const debugger delete export extends finally from function import "
    "in instanceof interface let new of throw try type typeof var void with yield enum implements"
)
_PYTHON = Language(
    words=_words(
        "and as assert async await break case class continue def del elif else except finally for from "
        "global if import in is lambda match nonlocal not or pass raise return try type while with yield "
        "True False None"
    ),
    known=_words(
        "self cls bool bytes dict float frozenset int list object set str tuple type len print range "
        "isinstance enumerate zip map filter sorted sum min max any all open super property Exception "
        "ValueError TypeError KeyError RuntimeError OSError AssertionError NotImplementedError"
    ),
    comments=("#",),
    spans=(('"""', '"""'), ("'''", "'''")),
)
_SCRIPT = Language(
    words=_words(_JS + " true false null undefined"),
    known=_words("this super console document window Promise Array Object Map Set JSON Math Error "
                 "string number boolean any unknown never"),
    comments=("//",), spans=(("/*", "*/"), ("`", "`")),
)  # fmt: skip
_GO = Language(
    words=_words(_C + "chan defer fallthrough func go import interface map package range select type var const struct nil true false"),
    known=_words("append bool byte cap close copy error float64 int int64 len make new panic rune string uint64"),
    comments=("//",), spans=(("/*", "*/"), ("`", "`")),
)  # fmt: skip
_RUST = Language(
    words=_words(_C + "as async await const crate dyn enum extern fn impl in let loop match mod move mut pub ref self "
                 "static struct super trait type unsafe use where true false"),
    known=_words("Self bool char f64 i32 i64 str u8 u32 u64 usize Box Err None Ok Option Result Some String Vec"),
    comments=("//",), spans=(("/*", "*/"),), quotes='"',
)  # fmt: skip
_CLIKE = Language(
    words=_words(_C + _C_TYPES + "abstract auto boolean byte catch class delete extends extern final finally foreach fun "
                 "implements import inline interface internal namespace new operator override package private protected "
                 "public readonly record sealed sizeof super template this throw throws try typedef typename using val "
                 "var virtual when true false null nullptr"),
    known=_words("String Integer List Map Object string size_t std"),
    comments=("//",), spans=(("/*", "*/"),),
)  # fmt: skip
_SHELL = Language(
    words=_words("case do done elif else esac fi for function if in local return select then until while export"),
    known=_words("cd echo eval exec exit printf read set shift source test trap unset"),
    comments=("#",),
)  # fmt: skip
_SQL_WORDS = (
    "add alter and as asc begin between by case commit constraint create default delete desc distinct drop else "
    "end exists foreign from group having if in index inner insert into is join key left like limit not null on "
    "or order outer primary references rollback select set table then union unique update values view when where"
)
_SQL = Language(
    words=_words(_SQL_WORDS) | _words(_SQL_WORDS.upper()), comments=("--",), spans=(("/*", "*/"),)
)
_RUBY = Language(
    words=_words("alias and begin break case class def do else elsif end ensure false for if in module next nil not or "
                 "redo rescue retry return self super then true unless until when while yield"),
    known=_words("attr_accessor attr_reader include puts raise require"),
    comments=("#",),
)  # fmt: skip
_PHP = Language(words=_CLIKE.words | _words("echo function use elseif"), comments=("//", "#"), spans=(("/*", "*/"),))  # fmt: skip
_DATA = Language(words=_words("true false null yes no on off"), comments=("#",))
_JSON = Language(words=_words("true false null"), quotes='"')
_MARKUP = Language(spans=(("<!--", "-->"),), quotes='"')
_STYLE = Language(spans=(("/*", "*/"),))
_MAKE = Language(words=_words("ifeq ifneq ifdef ifndef else endif include export define endef"), comments=("#",), quotes='"')  # fmt: skip

_BY_ENDING = {
    "py": _PYTHON, "pyi": _PYTHON, "js": _SCRIPT, "mjs": _SCRIPT, "cjs": _SCRIPT, "jsx": _SCRIPT, "ts": _SCRIPT,
    "tsx": _SCRIPT, "go": _GO, "rs": _RUST, "c": _CLIKE, "h": _CLIKE, "cc": _CLIKE, "cpp": _CLIKE, "hpp": _CLIKE,
    "cs": _CLIKE, "java": _CLIKE, "kt": _CLIKE, "swift": _CLIKE, "scala": _CLIKE, "php": _PHP, "rb": _RUBY,
    "sh": _SHELL, "bash": _SHELL, "zsh": _SHELL, "sql": _SQL, "json": _JSON, "yaml": _DATA, "yml": _DATA,
    "toml": _DATA, "ini": _DATA, "cfg": _DATA, "html": _MARKUP, "xml": _MARKUP, "svg": _MARKUP, "vue": _MARKUP,
    "css": _STYLE, "scss": _STYLE, "less": _STYLE, "mk": _MAKE, "makefile": _MAKE, "dockerfile": _SHELL,
}  # fmt: skip


def language_of(path: str) -> Language | None:
    """Know a language by the name of its file."""
    name = path.rpartition("/")[2].lower()
    return _BY_ENDING.get(name.rpartition(".")[2])


@cache
def _pattern(language: Language) -> re.Pattern[str]:
    """Every alternative eats what it matches for good (`++`, `*+`): nothing is ever tried twice."""
    parts = []
    if language.spans:
        openings = "|".join(re.escape(start) for start, _ in language.spans)
        parts.append(f"(?P<open>{openings})")
    if language.comments:
        starts = "|".join(re.escape(start) for start in language.comments)
        parts.append(f"(?P<comment>(?:{starts}).*+)")
    strings = "|".join(rf"{quote}(?:[^{quote}\\]++|\\.)*+{quote}?" for quote in language.quotes)
    parts += [
        f"(?P<string>{strings})",
        r"(?P<decorator>@[^\W\d]\w*+)",
        r"(?P<name>[^\W\d]\w*+)(?P<call>\()?",
        r"(?P<number>\d[\w.]*+)",
    ]
    return re.compile("|".join(parts))


def paint(text: str, language: Language | None, inside: str = "") -> tuple[list[Token], str]:
    """Cut a line into coloured pieces; `inside` is what closes the span that the line begins in.

    Returns the pieces, which are together the text, and what the next line begins in.
    """
    if language is None or len(text) > MOST:
        return [("", text)], inside
    tokens: list[Token] = []
    at = 0
    if inside:
        at, inside = _close(text, 0, inside, tokens)
    pattern = _pattern(language)
    while at < len(text) and (found := pattern.search(text, at)):
        if found.start() > at:
            tokens.append(("", text[at : found.start()]))
        at = found.end()
        if opened := found.groupdict().get("open"):
            closing = next(end for start, end in language.spans if start == opened)
            at, inside = _close(text, found.start(), closing, tokens, len(opened))
        else:
            tokens.extend(_coloured(found, language))
    if at < len(text):
        tokens.append(("", text[at:]))
    return tokens, inside


def _close(
    text: str, at: int, closing: str, tokens: list[Token], opening: int = 0
) -> tuple[int, str]:
    """Take a span to where it closes, or to the end of the line."""
    end = text.find(closing, at + opening)
    stop = len(text) if end < 0 else end + len(closing)
    tokens.append(("c" if closing in {"*/", "-->"} else "s2", text[at:stop]))
    return stop, closing if end < 0 else ""


def _coloured(found: re.Match[str], language: Language) -> Iterator[Token]:
    kind = found.lastgroup
    if kind in {"name", "call"}:
        name = found["name"]
        yield _class_of(name, language, called=kind == "call"), name
        if kind == "call":
            yield "", "("
    else:
        classes = {"comment": "c", "string": "s2", "decorator": "nd", "number": "mi"}
        yield classes[kind or ""], found[0]


def _class_of(name: str, language: Language, *, called: bool) -> str:
    if name in language.words:
        return "k"
    if name in language.known:
        return "nb"
    return "nf" if called else ""
