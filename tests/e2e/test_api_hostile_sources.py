"""Addresses and refs that no repository is fetched from: refused as they are read, each at its field."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.api_service import Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
HIDDEN_HOSTS = (
    *("127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0177.0.0.1"),
    *("0x7f.1", "017700000001", "127.0.0.1.", "10.0.0.1", "10.255.255.255", "172.16.0.1"),
    *("172.31.255.255", "192.168.0.1", "169.254.169.254", "169.254.1.1", "100.64.0.1", "192.0.0.1"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b::a00:1]", "[2002:7f00:1::]", "[2002:a00:1::]", "[2001:db8::1]", "[2001::1]"),
    *(
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "\u2460\u2461\u2466.0.0.1",
    ),
)
HIDDEN = tuple(f"https://{host}/a.git" for host in HIDDEN_HOSTS)
NO_ADDRESS = (
    *("", " ", "a", "/etc/passwd", "./a", "../a", "~/a", "a/b.git", "C:\\a", "\\\\host\\a.git"),
    *("file:///etc", "file://localhost/etc", "FILE:///etc", "ssh://git@example.org/a.git"),
    *("git@example.org:a/b.git", "git://example.org/a.git", "ftp://example.org/a.git"),
    *("ext::sh -c id", "ext::sh%20-c%20id", "fd::17", "http::https://example.org/a.git"),
    *("ssh+git://example.org/a", "git+ssh://example.org/a", "rsync://example.org/a"),
    *("javascript:alert(1)", "data:text/plain,a", "about:blank", "gopher://example.org/a"),
    *("--upload-pack=id", "-oProxyCommand=id", "--config=core.pager=id", "-https://example.org/a"),
    *("https://", "https:///a.git", "https:example.org/a.git", "https:/example.org/a.git"),
    *("https://-example.org/a.git", "https://--upload-pack=id/a.git", "https://example..org/a.git"),
    *("https://.example.org/a.git", "https://exa mple.org/a.git", "https://example.org /a.git"),
    *(
        "https://user@example.org/a.git",
        "https://user:word@example.org/a.git",
        "https://:@example.org/a",
    ),
    *(
        "https://example.org:0/a.git",
        "https://example.org:65536/a.git",
        "https://example.org:-1/a.git",
    ),
    *("https://example.org:x/a.git", "https://example.org:80:90/a.git", "https://[::1/a.git"),
    *("https://::1]/a.git", "https://[example.org]/a.git", "https://example.org@10.0.0.1/a.git"),
    *("https://example.org\\@10.0.0.1/a.git", "https://example.org%2f@10.0.0.1/a.git"),
    *(
        "https://example.org/a.git\n",
        "https://example.org/a\r\nHost: x/b.git",
        "https://example.org/\0a",
    ),
    *(
        "https://example.org/a\tb.git",
        "https://example.org/a b.git",
        "https://exam\u202eple.org/a.git",
    ),
    *(
        "https://example.org/a.git#x",
        "https://example.org/a.git?x=1",
    ),
    *(),
    *(
        "https://example.org/%00a",
        "https://example.org/a%0ab",
        "https://" + "a" * 64 + ".org/a.git",
    ),
    *(
        "https://" + "a." * 130 + "org/a.git",
        "https://example.org/" + "a" * 5000,
        "http://example.org/a.git",
    ),
    *(
        "HTTP://example.org/a.git",
        "https://localhost%00.example.org/a.git",
        "https://example.org%0a/a.git",
    ),
)
NO_REFS = (
    *(
        "",
        " ",
        "-",
        "--upload-pack=id",
        "-b",
        "--",
        "--help",
        "-c core.pager=id",
        "a b",
        "a\tb",
        "a\nb",
    ),
    *(
        "a\0b",
        "a\x7fb",
        "a..b",
        "a~1",
        "a^",
        "a^{}",
        "a:b",
        "a?b",
        "a*",
        "[a",
        "a\\b",
        "@{u}",
        "a@{1}",
    ),
    *(
        "@",
        ".a",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "a//b",
        "/a",
        "a/",
        "a.",
        ":/fix",
        "+a:b",
        "a:refs/heads/b",
    ),
    *(
        "refs/heads/a:refs/heads/b",
        "\x1b[31m",
        "a" * 1000,
        "refs/heads/",
        "a\x01",
        "HEAD~3",
        "main^{tree}",
    ),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("hostile")) as api:
        yield api


async def refusals(served: Served, field: str, given: tuple[str, ...]) -> dict[str, str]:
    """Return those that were not refused at their field, each with the answer."""
    odd = {}
    for each in given:
        git = {"url": "https://example.org/a.git", field: each}
        body = {"prompt": "x", "source": {"git": git}}
        answer = await served.client.post("/api/v1/tasks", json=body)
        problem = answer.json()
        named = [error["pointer"] for error in problem.get("errors", [])]
        if answer.status_code != 422 or named != [f"/source/git/{field}"]:
            odd[each] = f"{answer.status_code} {problem.get('code')} {named}"
    return odd


async def test_addresses_that_lead_inside_or_nowhere_are_refused(served: Served) -> None:
    assert await refusals(served, "url", HIDDEN + NO_ADDRESS) == {}


async def test_refs_that_are_none_or_options_are_refused(served: Served) -> None:
    assert await refusals(served, "ref", NO_REFS) == {}
    assert (await served.client.get("/api/v1/tasks")).json()["items"] == []


async def test_there_are_as_many_as_were_asked_for() -> None:
    assert len({*HIDDEN, *NO_ADDRESS}) + len(set(NO_REFS)) >= 150
