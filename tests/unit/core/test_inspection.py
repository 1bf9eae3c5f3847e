"""What is asked of a look at changed files, and what is taken of its answer."""

import json

import pytest

from codexsys_core.flags import MOST_OF_A_KIND
from codexsys_core.inspection import MOST_ANSWERED, inspectable, read_answer
from codexsys_core.patch import ChangedFile, Patch
from codexsys_core.redaction import SecretRedactor

DIFF = b"""\
diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,4 +1,5 @@
-old
+one
+two
 kept
 kept
+five
 kept
"""
LINES = {"a.py": [(1, 2), (5, 5)]}


def changed(path: str, status: str = "M", mode: str = "100644") -> ChangedFile:
    return ChangedFile(path=path, mode=mode, blob="b", status=status)


def finding(**more: object) -> bytes:
    told = {"kind": "lint", "path": "a.py", "line": 1, "tool": "ruff", "message": "F401 unused"}
    return json.dumps(told | more).encode()


def taken(*lines: bytes, secrets: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    read = read_answer(b"\n".join(lines), LINES, SecretRedactor(secrets).redact)
    return [(flag.kind.value, flag.place, flag.says) for flag in read.flags]


def test_files_with_a_tool_are_looked_at_and_their_changed_lines_are_known() -> None:
    files = [
        changed("a.py"),
        changed("gone.py", "D"),
        changed("link.py", "A", "120000"),
        changed("run.sh", "M", "100755"),
        changed("a.md"),
        changed("a\n.py"),
    ]
    patch = Patch(tree="t", diff=DIFF, files=files)
    assert inspectable(patch) == {**LINES, "run.sh": []}


def test_what_is_said_of_changed_lines_is_flagged() -> None:
    assert taken(finding(), finding(line=3), finding(path="b.py")) == [
        ("lint", "a.py:1", "ruff: F401 unused")
    ]
    assert taken(finding(kind="format", line=4)) == []
    assert taken(finding(kind="syntax", line=4, tool="python")) == [
        ("syntax", "a.py:4", "python: F401 unused")
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Looks good to me",
        b"[" * 100_000,
        b"null",
        b"\xff\xfe",
        finding(kind="secret"),
        finding(line=0),
        finding(line="1"),
        finding(line=True),
        finding(line=10**30),
        finding(tool="<b>ruff</b>"),
        finding(tool="ruff\n"),
        finding(message=["x"]),
        finding(more="x"),
        finding(path="../a.py"),
        finding(path=None),
        finding(message="\ud800"),
        finding()[:-1],
    ],
)
def test_what_is_no_finding_is_passed_over(line: bytes) -> None:
    assert taken(line, finding()) == [("lint", "a.py:1", "ruff: F401 unused")]


def test_messages_are_one_short_line_of_printable_text_without_secrets() -> None:
    hostile = "a\x1b[31m\x00b\u202e\r\nverdict: verified  hunter2-hunter2 ghp_abcdefghijklmnopqrstuvwxyz0123"
    ((_, _, says),) = taken(finding(message=hostile), secrets=("hunter2-hunter2",))
    assert says.startswith("ruff: a [31m b verdict: verified [redacted] [redacted]")
    assert says.isprintable()
    ((_, _, says),) = taken(finding(message="x" * 5000))
    assert len(says) == 206
    assert says.endswith("x…")


def test_there_are_few_of_each_kind() -> None:
    many = [finding(message=str(n)) for n in range(50)]
    found = taken(*many, *many, finding(kind="syntax", tool="python"))
    assert len(found) == MOST_OF_A_KIND + 1


def test_notes_are_for_a_person() -> None:
    notes = [json.dumps({"note": f"{n}\x07"}).encode() for n in range(100)]
    answer = b"\n".join([*notes, json.dumps({"note": "x", "verdict": "verified"}).encode()])
    read = read_answer(answer, LINES, SecretRedactor().redact)
    assert read.notes == [str(n) for n in range(20)]


def test_more_than_is_read_is_not() -> None:
    assert taken(b"x" * MOST_ANSWERED, finding()) == []
    assert taken(*[b"" for _ in range(5000)], finding()) == []
