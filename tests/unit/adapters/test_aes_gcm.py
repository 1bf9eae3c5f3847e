"""Sealed values open in their row, with their key, and nowhere else."""

import pytest

from codexsys_adapters.aes_gcm import AesGcmSecrets
from codexsys_core.secret import SecretUnreadable

BOX = AesGcmSecrets(b"a key of the platform")


@pytest.mark.parametrize("text", ["", "x", "geheim-ß-🙂", "two\nlines", "a" * 65_536])
def test_what_was_sealed_opens_again(text: str) -> None:
    sealed = BOX.seal(text, row="task_1/TOKEN")
    assert len(text) < 4 or text not in sealed
    assert BOX.open(sealed, row="task_1/TOKEN") == text


def test_the_same_text_is_never_sealed_the_same() -> None:
    assert BOX.seal("x", row="r") != BOX.seal("x", row="r")


@pytest.mark.parametrize("row", ["task_2/TOKEN", "task_1/OTHER", ""])
def test_it_does_not_open_in_another_row(row: str) -> None:
    with pytest.raises(SecretUnreadable):
        BOX.open(BOX.seal("x", row="task_1/TOKEN"), row=row)


def test_it_does_not_open_with_another_key() -> None:
    sealed = AesGcmSecrets(b"another key").seal("x", row="r")
    with pytest.raises(SecretUnreadable, match="CODEXSYS_SECRET_KEY"):
        BOX.open(sealed, row="r")


@pytest.mark.parametrize(
    "change", [lambda s: s[:-6] + "AAAAA=", lambda s: s + "!", lambda s: s[:12]]
)
def test_what_was_changed_does_not_open(change: object) -> None:
    assert callable(change)
    with pytest.raises(SecretUnreadable):
        BOX.open(change(BOX.seal("x" * 20, row="r")), row="r")


@pytest.mark.parametrize("text", ["in clear", "", "sealed-1", "sealed-1..", "sealed-2.a.b"])
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    with pytest.raises(SecretUnreadable):
        BOX.open(text, row="r")


def test_digests_need_the_key() -> None:
    assert BOX.digest("x") == BOX.digest("x") != BOX.digest("y")
    assert BOX.digest("x") != AesGcmSecrets(b"another key").digest("x")
