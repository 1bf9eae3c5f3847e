"""The parts of the pages: diffs, logs, words and the submit form."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from codexsys_api.pages import diff, forms, log, sides, syntax, text

if TYPE_CHECKING:
    from pathlib import Path

NEW_AND_CHANGED = b"""diff --git a/docs/old.md b/docs/new.md
similarity index 90%
rename from docs/old.md
rename to docs/new.md
--- a/docs/old.md
+++ b/docs/new.md
@@ -1,3 +1,3 @@ Title
 same
-the old word
+the new word
 end
\\ No newline at end of file
diff --git a/src/new.py b/src/new.py
new file mode 100755
--- /dev/null
+++ b/src/new.py
@@ -0,0 +1,2 @@
+--- a/not/a/header
+diff --git a/x b/x
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-bye
diff --git a/image.png b/image.png
new file mode 100644
GIT binary patch
literal 3
Kc${NkU|;|M

literal 0
HcmV?d00001

diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git "a/d\\303\\251j\\303\\240.txt" "b/d\\303\\251j\\303\\240.txt"
index 1..2 100644
--- "a/d\\303\\251j\\303\\240.txt"
+++ "b/d\\303\\251j\\303\\240.txt"
@@ -1 +1 @@
-a
+b
"""


def test_a_patch_is_read_file_by_file() -> None:
    read = diff.read(NEW_AND_CHANGED)
    assert [(file.path, file.kind, file.letter) for file in read.files] == [
        ("docs/new.md", "renamed", "R"),
        ("src/new.py", "added", "A"),
        ("gone.txt", "deleted", "D"),
        ("image.png", "added", "B"),
        ("run.sh", "mode", "M"),
        ("déjà.txt", "changed", "M"),
    ]
    assert (read.insertions, read.deletions) == (4, 3)
    assert read.files[0].old_path == "docs/old.md"
    assert read.files[4].modes == "100644 → 100755"


MOVED = b"""diff --git a/docs/old.md b/docs/old.md
deleted file mode 100644
index 1111..0000
--- a/docs/old.md
+++ /dev/null
@@ -1,2 +0,0 @@
-one
-two
diff --git a/lib/new.sh b/lib/new.sh
new file mode 100755
index 0000..2222
--- /dev/null
+++ b/lib/new.sh
@@ -0,0 +1,2 @@
+one
+two
"""


def test_a_file_that_came_with_the_lines_of_one_that_went_was_renamed() -> None:
    (file,) = diff.read(MOVED).files
    assert (file.old_path, file.path, file.word) == ("docs/old.md", "lib/new.sh", "renamed")
    assert (file.modes, file.rows) == ("100644 → 100755", [])
    assert (diff.read(MOVED).insertions, diff.read(MOVED).deletions) == (0, 0)
    again = diff.read(
        MOVED + MOVED.replace(b"docs/old", b"docs/older").replace(b"new.sh", b"newer.sh")
    )
    assert [each.old_path for each in again.files] == ["docs/old.md", "docs/older.md"]


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (b"+two", b"+Two"),
        (b"+two\n", b"+two\n\\ No newline at end of file\n"),
        (b"index 0000..2222", b"GIT binary patch"),
        (b"deleted file", b"old"),
    ],
)
def test_what_differs_in_anything_was_not_renamed(said: bytes, instead: bytes) -> None:
    files = diff.read(MOVED.replace(said, instead)).files
    assert [file.old_path for file in files] == ["", ""]


def test_lines_of_a_hunk_that_look_like_headers_are_lines() -> None:
    rows = diff.read(NEW_AND_CHANGED).files[1].rows
    assert [row.text for row in rows[1:]] == ["--- a/not/a/header", "diff --git a/x b/x"]
    assert [row.new for row in rows[1:]] == [1, 2]


def test_the_changed_part_of_a_pair_is_marked() -> None:
    file = diff.read(NEW_AND_CHANGED).files[0]
    lines = sides.unified(file.rows, file.path)
    assert [(line.old, line.new, str(line.code)) for line in lines if line.sign] == [
        (2, None, "the <del>old</del> word"),
        (None, 2, "the <ins>new</ins> word"),
    ]
    assert lines[-1].kind == "note"


def test_code_is_coloured_and_still_the_same_text() -> None:
    python = syntax.language_of("a/b.py")
    first, inside = syntax.paint('    """Opens here', python)
    assert first == [("", "    "), ("s2", '"""Opens here')]
    second, inside = syntax.paint('and closes""" and return f(1, "x") # <b>', python, inside)
    assert second[0] == ("s2", 'and closes"""')
    assert ("k", "return") in second
    assert ("nf", "f") in second
    assert second[-1] == ("c", "# <b>")
    assert inside == ""
    assert "".join(text for _, text in second) == 'and closes""" and return f(1, "x") # <b>'


@pytest.mark.parametrize("ending", ["py", "ts", "go", "rs", "c", "sh", "sql", "rb", "html", "json"])
@pytest.mark.parametrize(
    "piece", ['"', "'", '"\\', "/*", '"""', "a.", "1.", "@", "`", "<!--", "(", "\\", "é", " "]
)
def test_colouring_takes_time_by_length_only(ending: str, piece: str) -> None:
    text = piece * (syntax.MOST // len(piece))
    tokens, _ = syntax.paint(text, syntax.language_of(f"x.{ending}"))
    assert "".join(part for _, part in tokens) == text


def test_the_tree_groups_by_folder() -> None:
    tree = diff.read(NEW_AND_CHANGED).tree
    assert [(folder, [name for _, name, _ in files]) for folder, files in tree] == [
        ("", ["déjà.txt", "gone.txt", "image.png", "run.sh"]),
        ("docs", ["new.md"]),
        ("src", ["new.py"]),
    ]


def test_five_thousand_lines_are_all_there() -> None:
    lines = b"".join(b"+line %d\n" % number for number in range(5000))
    read = diff.read(b"diff --git a/big b/big\nnew file mode 100644\n@@ -0,0 +1,5000 @@\n" + lines)
    assert read.insertions == 5000
    assert read.files[0].folded
    assert sum(len(read.files[0].chunk(at)) for at in range(len(read.files[0].starts))) == 5001


def test_what_is_too_much_is_counted_not_shown() -> None:
    lines = b"+x\n" * (diff.MAX_ROWS + 10)
    read = diff.read(b"diff --git a/a b/a\n@@ -0,0 +1,%d @@\n" % (diff.MAX_ROWS + 10) + lines)
    assert read.files[0].cut == 11
    assert diff.read(b"x" * (diff.MAX_BYTES + 1)).truncated
    long = diff.read(b"diff --git a/a b/a\n@@ -0,0 +1 @@\n+" + b"y" * 10_000)
    assert len(long.files[0].rows[1].text) < 5000


@pytest.mark.parametrize(
    "patch",
    [b"", b"\xff\xfe", b"no patch", b"@@ -1 +1 @@\n", b"diff --git \n@@ -9999999999 +1 @@\n",
     b"diff --git a/x b/x\n@@ -1,99999 +1,99999 @@\n-a\n", b'diff --git "a/\\9 "b/\\', b"diff --git a b"],
)  # fmt: skip
def test_a_broken_patch_breaks_nothing(patch: bytes) -> None:
    assert len(diff.read(patch).files) <= 1


def test_the_patch_that_git_writes_is_read(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for root, words in ((before, "one\ntwo\n"), (after, "one\nthree\n")):
        (root / "päth with space").mkdir(parents=True)
        (root / "päth with space" / "file.txt").write_text(words)
        (root / "data.bin").write_bytes(words.encode() + b"\0\1")
    done = subprocess.run(
        ["git", "diff", "--no-index", "--binary", "before", "after"],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    read = diff.read(done.stdout)
    assert [(file.path, file.binary) for file in read.files] == [
        ("after/data.bin", True),
        ("after/päth with space/file.txt", False),
    ]
    assert (read.insertions, read.deletions) == (1, 1)


def test_colours_become_classes_and_other_controls_go() -> None:
    read = log.read(
        "\x1b[1;31mFAILED\x1b[0m x\x1b]0;title\x07\x1b[2K\x1b[38;5;1mplain\n10%\r100%\r\n"
    )
    first = [(piece.text, piece.classes) for piece in read.lines[0].pieces]
    assert first == [("FAILED", "a-b a-red"), (" x", ""), ("plain", "")]
    assert [piece.text for piece in read.lines[1].pieces] == ["100%"]


def test_the_last_lines_keep_their_numbers() -> None:
    read = log.read("a\nb\nc\n", limit=2)
    assert (read.hidden, [line.number for line in read.lines]) == (1, [2, 3])
    assert log.read("").lines == ()
    huge = log.read("x" * 99 + "\n" + ("y" * 99 + "\n") * 30_000, limit=1)
    assert (huge.hidden, huge.lines[0].number) == (30_000, 30_001)


def test_words_for_numbers_and_times() -> None:
    assert [text.size(n) for n in (1, 6246, 5 * 1024**2)] == ["1 bytes", "6.1 KiB", "5.0 MiB"]
    assert [text.duration(n) for n in (9.9, 60, 238, 3600, 7320)] == [
        "9 s", "1 min", "3 min 58 s", "1 h", "2 h 02 min",
    ]  # fmt: skip
    assert [text.money(n) for n in (0, 0.0012, 0.41)] == ["$0.00", "$0.0012", "$0.41"]
    now = datetime(2026, 11, 20, 9, 46, tzinfo=UTC)
    assert [text.age(f"2026-11-{t}Z", now) for t in ("20T09:45:30", "20T07:00:00", "17T00:00:00")] == [
        "30 s", "2 h", "3 d",
    ]  # fmt: skip
    assert text.when("2026-11-20T09:31:22Z") == "20 Nov 2026, 09:31 UTC"
    assert text.visible("a\x1b\u202e\r\n\tb") == "a[U+001B][U+202E]\n\tb"


@pytest.mark.parametrize(
    ("url", "name"),
    [("https://u:p@example.org/a/b.git", "a/b"), ("git@example.org:a/b.git", "a/b"),
     ("https://example.org/", "repository"), ("file:///srv/x", "srv/x")],
)  # fmt: skip
def test_a_repository_has_a_short_name(url: str, name: str) -> None:
    assert text.repository(url) == name


def test_a_form_becomes_a_create_body() -> None:
    body, errors = forms.to_create_body({
        "csrf": "x", "source": "git", "url": " https://example.org/a.git ", "ref": "", "prompt": "Do\r\nit",
        "mode": "modify", "command": "pytest -q", "strategy": "full", "may_change": "a/**\n\nb",
        "cost_usd": "2.5", "calls": "1,000", "tokens": "", "labels": "team=web, x=y",
    })  # fmt: skip
    assert errors == {}
    assert body == {
        "prompt": "Do\nit", "source": {"git": {"url": "https://example.org/a.git"}}, "mode": "modify",
        "checks": {"command": "pytest -q", "strategy": "full", "may_change": ["a/**", "b"]},
        "limits": {"cost_usd": 2.5, "calls": 1000}, "labels": {"team": "web", "x": "y"},
    }  # fmt: skip
    assert "source" not in forms.to_create_body({"source": "zip", "prompt": "x"})[0]
    assert forms.to_create_body({"source": "task", "task": "task_1", "prompt": "x"})[0][
        "source"
    ] == {"task": "task_1"}


def test_a_form_says_what_is_wrong_by_field() -> None:
    _, errors = forms.to_create_body(
        {"url": "", "prompt": " ", "calls": "many", "labels": "web", "cost_usd": "nan"}
    )
    assert set(errors) == {"url", "prompt", "calls", "labels", "cost_usd"}


def test_a_refusal_is_sorted_by_field() -> None:
    pointers = [
        "/source/git/url",
        "/limits/cost_usd",
        "/checks/may_change/0",
        "/prompt",
        "/labels/team",
        "/file",
    ]
    problem = {"errors": [{"pointer": each, "detail": "No."} for each in pointers]}
    assert set(forms.errors_by_field(problem)) == {
        "url",
        "cost_usd",
        "may_change",
        "prompt",
        "labels",
        "file",
    }
    assert forms.errors_by_field({"title": "Too many", "detail": "Wait."}) == {"": "Wait."}
