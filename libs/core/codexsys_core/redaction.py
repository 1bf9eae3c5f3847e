"""Takes known secrets, and what has the shape of one, out of text."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MARK = b"[redacted]"
SHORTEST = 4
"""Shorter values are not treated as secrets: taking them out would shred every text."""
SHORTEST_PART = 8
"""The same for what is only a part of a secret: a line of it, or the inner part of its base64."""

_SHAPES = (
    # A key in PEM, whole or as far as this text has it. Atomic: linear on hostile text. A possessive
    # repeat would do, but in Python before 3.11.3 it does not go back over what a failed turn has read.
    (
        rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        rb"(?>(?:[A-Za-z0-9+/=\\\s:,.()]++|-(?!----))*)(?:-----END [A-Z0-9 ]{1,60}-----)?"
    ),
    rb"cdx_[0-9a-z]{26}_[A-Za-z0-9_-]{32,64}",
    rb"gh[opsur]_[A-Za-z0-9]{20,255}",
    rb"github_pat_[A-Za-z0-9_]{20,255}",
    rb"glpat-[A-Za-z0-9_-]{20,255}",
    rb"(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}",  # a digit: sk-… is prose, too
    rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])",
)
_TOKEN = re.compile(b"|".join(b"(?:%b)" % shape for shape in _SHAPES))
_BEARER = re.compile(rb"(?i)\b(bearer(?:\s|%20){1,4})[A-Za-z0-9._~+/=-]{16,}")
_USERINFO = re.compile(rb"(?i)([a-z][a-z0-9+.-]{1,20}://)(?!git@)[^\s/@\"'<>]{1,1024}@")


def looks_secret(text: bytes) -> bool:
    """Say whether a text has the shape of a secret in it."""
    return any(shape.search(text) for shape in (_TOKEN, _USERINFO))


class SecretRedactor:
    """Knows the platform's secrets in the forms in which they usually come out.

    These are: as they are, percent-encoded, inside JSON, inside base64 (at any position of what
    was encoded), and each line of one with several lines. Redacting twice changes nothing.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # Longest first, so that a secret which begins with another one goes whole.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile(b"|".join(map(re.escape, ordered))) if ordered else None

    def redact(self, text: bytes) -> bytes:
        """Return the text with every known secret and every known shape replaced."""
        if self._known is not None:
            text = self._known.sub(MARK, text)
        text = _TOKEN.sub(MARK, text)
        text = _BEARER.sub(rb"\1" + MARK, text)
        return _USERINFO.sub(rb"\1" + MARK + b"@", text)


def _forms(secret: str) -> Iterator[bytes]:
    if len(secret) < SHORTEST:
        return
    yield secret.encode()
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()
    yield json.dumps(secret)[1:-1].encode()
    yield json.dumps(secret, ensure_ascii=False)[1:-1].encode()
    yield from _base64_forms(secret.encode())
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        yield from (line.encode() for line in lines if len(line) >= SHORTEST_PART)


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """Yield what base64 of any text with the secret in it must contain.

    Three bytes become four characters, so there are three ways in which the secret can lie. The
    characters that depend on its neighbours, too, are left away.
    """
    for encode in (b64encode, urlsafe_b64encode):
        whole = encode(secret)
        yield whole
        yield whole.rstrip(b"=")
        for before in range(3):
            bits = 8 * before
            encoded = encode(b"\0" * before + secret)
            first, last = -(-bits // 6), (bits + 8 * len(secret)) // 6
            if last - first >= SHORTEST_PART:
                yield encoded[first:last]
