"""What the redactor takes out, and what it leaves."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from codexsys_core.redaction import MARK, SecretRedactor

SECRET = 'p@ss/w"örd+7\\x'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_a_known_secret_goes_in_every_usual_form(form: str) -> None:
    redacted = SecretRedactor([SECRET]).redact(f"a {form} z".encode())
    assert redacted == b"a " + MARK + b" z"


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz", "user:"])
@pytest.mark.parametrize("after", ["", "1", "12", "123"])
def test_a_known_secret_goes_from_base64_at_any_position(before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}correct-horse-battery{after}".encode())
    redacted = SecretRedactor(["correct-horse-battery"]).redact(encoded)
    assert MARK in redacted
    # What is left tells of the neighbours and of at most one character at each end.
    assert len(redacted.replace(MARK, b"")) <= 16


def test_each_line_of_a_secret_with_lines_goes() -> None:
    redactor = SecretRedactor(["first-line-of-it\nsecond-line-of-it\n"])
    assert redactor.redact(b"x second-line-of-it y") == b"x " + MARK + b" y"


def test_the_longer_of_two_secrets_goes_whole() -> None:
    assert SecretRedactor(["hunter", "hunter22"]).redact(b"hunter22") == MARK


@pytest.mark.parametrize(
    "token",
    [
        "cdx_" + "a1" * 13 + "_" + "Zz-_" * 10,
        "ghp_" + "A1b2" * 9,
        "github_pat_" + "A1b2_" * 10,
        "glpat-" + "A1b2" * 5,
        "sk-proj-" + "A1b2" * 8,
        "AKIA" + "ABCD1234" * 2,
    ],
)
def test_shapes_of_tokens_go(token: str) -> None:
    assert SecretRedactor().redact(f"TOKEN={token}\n".encode()) == b"TOKEN=" + MARK + b"\n"


def test_a_bearer_token_goes() -> None:
    text = b"authorization: Bearer abcdef.ghijkl.mnopqr"
    assert SecretRedactor().redact(text) == b"authorization: Bearer " + MARK


@pytest.mark.parametrize("newline", ["\n", "\\n"])
def test_a_private_key_goes_as_a_block(newline: str) -> None:
    key = newline.join(
        [
            "-----BEGIN RSA PRIVATE KEY-----",
            "DEK-Info: AES-128-CBC,AB",
            "",
            "MIIE/+=",
            "-----END RSA PRIVATE KEY-----",
        ]
    )
    assert SecretRedactor().redact(f'k = "{key}" end'.encode()) == b'k = "' + MARK + b'" end'


def test_a_private_key_without_its_end_goes_as_well() -> None:
    text = b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQ\n"
    assert SecretRedactor().redact(text) == MARK


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (b"clone https://me:pw@example.org/a.git", b"clone https://[redacted]@example.org/a.git"),
        (b"mysql://u:p@db:3306/x", b"mysql://[redacted]@db:3306/x"),
        (b"https://token123@example.org", b"https://[redacted]@example.org"),
        (b"ssh://git@example.org/a.git", b"ssh://git@example.org/a.git"),
        (b"https://example.org/@scope/x", b"https://example.org/@scope/x"),
    ],
)
def test_who_and_password_go_from_addresses(text: bytes, redacted: bytes) -> None:
    assert SecretRedactor().redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        b"a task-management-system-of-the-team",
        b"sk-learn-contrib-imbalanced-package",
        b"the bearer of this certificate",
        b"2 passed in 0.01s",
        b"AKIAMARU",
        b"\xff\xfe not text",
    ],
)
def test_ordinary_text_stays(text: bytes) -> None:
    assert SecretRedactor(["", "abc"]).redact(text) == text


def test_twice_is_as_good_as_once() -> None:
    redactor = SecretRedactor([SECRET])
    text = f"{SECRET} https://a:b@c Bearer {'a1' * 20} ghp_{'a1' * 18}".encode()
    once = redactor.redact(text)
    assert redactor.redact(once) == once
