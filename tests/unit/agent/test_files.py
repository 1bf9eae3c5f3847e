"""The file tools and the errors that they give a model."""

from pathlib import Path

import pytest

from codexsys_agent.files import Files, ToolError, clip


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "a.py").write_text("x = 1\ny = 1\nz = 2\n")
    (tmp_path / "many.txt").write_text("\n".join(str(n) for n in range(1, 1001)))
    (tmp_path / "dos.txt").write_bytes(b"one\r\ntwo\r\n")
    (tmp_path / "raw").write_bytes(b"\xff\xfe\0")
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / ".git").mkdir()
    return Files(tmp_path)


def test_reading_is_numbered_and_paged(files: Files) -> None:
    assert files.read("a.py", 2, 2).splitlines()[0] == "     2\ty = 1"
    assert files.read("many.txt").endswith("   400\t400\n[600 more lines]")
    assert "a.py" in files.read(".")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("w = 1", "w", "not found"),
        ("z = 3\n", "w", "not found"),
        (" = 1", " = 2", r"occurs 2 times in a.py \(lines \[1, 2\]\)"),
        ("x = 1", "x = 1", "the same"),
        ("x = 1", "x = (", "would not parse"),
        ("", "x", "empty"),
    ],
)
def test_an_edit_that_cannot_be_made_says_why(
    files: Files, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ToolError, match=complaint):
        files.edit("a.py", old, new)
    assert files.read("a.py").startswith("     1\tx = 1\n")


def test_line_ends_are_kept(files: Files, tmp_path: Path) -> None:
    files.edit("dos.txt", "one\ntwo", "one\n2")
    assert (tmp_path / "dos.txt").read_bytes() == b"one\r\n2\r\n"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "out/passwd", ".git/config", "no", "raw"])
def test_only_text_inside_the_repository_is_read(files: Files, path: str) -> None:
    with pytest.raises(ToolError):
        files.read(path)


def test_a_new_file_may_be_broken_but_a_good_one_stays_good(files: Files) -> None:
    assert "does not parse" in files.write("deep/new.json", "{")
    with pytest.raises(ToolError, match="would not parse"):
        files.write("a.py", "def (")


def test_clipping_keeps_both_ends() -> None:
    text = clip("a" * 50 + "b" * 50, 20)
    assert text.startswith("a" * 10)
    assert text.endswith("b" * 10)
    assert "80 characters elided" in text
