"""The door misused: other destinations, other tokens, hidden requests, no room for others."""

import socket
from contextlib import ExitStack

from tests.probe.attempt import Table, Told, all_of

TABLE = Table()
_DOOR = ("127.0.0.1", 8700)
_SECONDS = 20
_SLOW = 300


def _told(request: bytes) -> list[str]:
    """Send bytes, and return the status of each answer that comes back."""
    with socket.create_connection(_DOOR, timeout=_SECONDS) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        data = b""
        while piece := client.recv(65536):
            data += piece
    lines = data.split(b"\r\n")
    return [line.split()[1].decode() for line in lines if line.startswith(b"HTTP/1.")] or [
        "no answer"
    ]


def _asked(line: str, *headers: str, body: bytes = b"") -> str:
    head = "\r\n".join((line, "Host: 127.0.0.1:8700", *headers, "Connection: close", "", ""))
    return all_of(_told(head.encode("latin-1") + body))


@TABLE.attempt("an absolute URL, as to a proxy", agent="404")
def door_as_a_proxy(told: Told) -> str:
    urls = (
        "http://169.254.169.254/latest/",
        "http://evil.example/v1/events",
        "https://evil.example/v1/",
    )
    return all_of(_asked(f"GET {url} HTTP/1.1") for url in urls)


@TABLE.attempt("`CONNECT`, `TRACE`, `OPTIONS`, `PATCH` and made-up methods", agent="501")
def door_methods(told: Told) -> str:
    lines = (
        "CONNECT 169.254.169.254:80 HTTP/1.1",
        "TRACE /v1/x HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "PATCH /v1/x HTTP/1.1",
        "EVIL /v1/x HTTP/1.1",
    )
    return all_of(map(_asked, lines))


@TABLE.attempt("paths outside `/v1/`: metrics, health, the API", agent="404")
def door_other_paths(told: Told) -> str:
    paths = (
        "/",
        "/metrics",
        "/healthz",
        "/readyz",
        "/api/v1/tasks",
        "/v1",
        "/V1/x",
        "/v1x/",
    )
    return all_of(_asked(f"GET {path} HTTP/1.1") for path in paths)


@TABLE.attempt("`..` in the path, plain and encoded", agent="404")
def door_dots(told: Told) -> str:
    paths = (
        "/v1/../metrics",
        "/v1/%2e%2e/metrics",
        "/v1/.%2E/x",
        "/v1/x/../../metrics",
        "/v1/..%2fmetrics",
        "/v1/./x",
        "/v1/..;/x",
        "/v1/%5c..%5cx",
        "/v1/..\\x",
    )
    return all_of(_asked(f"GET {path} HTTP/1.1") for path in paths)


@TABLE.attempt("control characters and bytes beyond ASCII in the path", agent="400 or 404")
def door_odd_paths(told: Told) -> str:
    return all_of(
        _asked(f"GET /v1/{text} HTTP/1.1")
        for text in ("\x01", "\x7f", "\xe4", "a\tb", "%0d%0aX:1%00")
    )


@TABLE.attempt("another token: instead of ours, beside it, in odd spelling", agent="202")
def door_authorization(told: Told) -> str:
    names = (
        "Authorization",
        "authorization",
        "AUTHORIZATION",
        "Proxy-Authorization",
        "X-Forwarded-Authorization",
        "Cookie",
    )
    one = [
        _asked("POST /v1/events HTTP/1.1", f"{name}: Bearer another", "Content-Length: 0")
        for name in names
    ]
    two = _asked(
        "POST /v1/events HTTP/1.1", "Authorization: a", "Authorization: b", "Content-Length: 0"
    )
    return all_of((*one, two))


@TABLE.attempt("a header hidden in another's folded line", agent="202 or 400")
def door_folded_header(told: Told) -> str:
    return _asked(
        "POST /v1/events HTTP/1.1",
        "Accept: a\r\n\tAuthorization: Bearer another",
        "Idempotency-Key: b\r\n Host: evil",
        "Content-Length: 0",
    )


@TABLE.attempt(
    "`Host`, forwarding headers and upgrades that the gateway could believe", agent="202"
)
def door_host_header(told: Told) -> str:
    headers = (
        "Host: evil.example",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-Original-URL: /metrics",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: eA==",
    )
    return _asked("POST /v1/events HTTP/1.1", *headers, "Content-Length: 0")


@TABLE.attempt("a body with both lengths, or in chunks", agent="411")
def door_chunks(told: Told) -> str:
    chunked = (
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding:\tchunked",
    )
    return all_of(
        _asked(
            "POST /v1/events HTTP/1.1",
            name,
            "Content-Length: 4",
            body=b"0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
        )
        for name in chunked
    )


@TABLE.attempt("two lengths that differ", agent="411")
def door_two_lengths(told: Told) -> str:
    return _asked(
        "POST /v1/events HTTP/1.1",
        "Content-Length: 0",
        "Content-Length: 30",
        body=b"GET /metrics HTTP/1.1\r\nA: b\r\n\r\n",
    )


@TABLE.attempt("lengths that are no numbers", agent="411")
def door_odd_lengths(told: Told) -> str:
    return all_of(
        _asked("POST /v1/events HTTP/1.1", f"Content-Length: {text}")
        for text in ("-1", "0x10", "1e3", "+1", "1, 1", "a")
    )


@TABLE.attempt("a body larger than is taken", agent="413")
def door_large_body(told: Told) -> str:
    return _asked("POST /v1/checkpoint HTTP/1.1", "Content-Length: 99999999999")


@TABLE.attempt("a second request hidden behind the first", agent="202 or 404")
def door_second_request(told: Told) -> str:
    first = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    return " and ".join(
        _told(first + b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    )


@TABLE.attempt(
    f"{_SLOW} connections that never finish asking: is there room for another?", agent="202"
)
def door_slow_clients(told: Told) -> str:
    with ExitStack() as stack:
        for number in range(_SLOW):
            client = stack.enter_context(socket.create_connection(_DOOR, timeout=_SECONDS))
            client.sendall(
                (b"", b"POST /v1/ev", b"POST /v1/events HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")[
                    number % 3
                ]
            )
        return _asked("POST /v1/events HTTP/1.1", "Content-Length: 0")
