from pathlib import Path

from rows import parse_row


def test_empty_fields_are_kept():
    assert parse_row("a;b;;") == ["a", "b", "", ""]
    assert parse_row(";") == ["", ""]
    assert parse_row("") == []


def test_line_ends_are_kept():
    text = Path("rows.py").read_bytes()
    assert text.count(b"\n") == text.count(b"\r\n")
