from rows import parse_row


def test_fields():
    assert parse_row("a;b") == ["a", "b"]


def test_empty_row():
    assert parse_row("") == []
