"""Sources that nothing is made of: addresses, refs and zips, each refused at its field, before anything is opened."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_service import Served, multipart, serving
from tests.support.zip_writer import DOS, ENCRYPTED, LINK, STORED, UTF8, Part, written

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


HOSTILE_ZIPS = {
    "two names": written(Part("a", "x", local={"raw": b"b"})),
    "upwards": written(Part("a", "x"), Part("d/../../b", "x")),
    "of a drive": written(Part("a", "x"), Part("c:\\b", "x", system=DOS)),
    "a device": written(Part("a", "x"), Part("d/aux", "x")),
    "turned": written(Part("a", "x"), Part("b\u202egpj.py", "x", flags=UTF8)),
    "twice": written(Part("a", "x"), Part("A.", "x")),
    "a link out": written(Part("a", "x"), Part("l", "../a", method=STORED, mode=LINK)),
    "git": written(Part("a", "x"), Part("GIT~1/config", "x")),
    "setuid": written(Part("a", "x", mode=0o104755)),
    "encrypted": written(Part("a", "x", flags=ENCRYPTED)),
}
ORDINARY_ZIPS = {
    "plain": written(Part("p/a.py", "x"), Part("p/run.sh", "x", mode=0o100755)),
    "of PowerShell": written(Part("p\\d\\a.py", "x", system=DOS, external=0x20)),
    "with 64 bits": written(Part("a.py", "x", wide=True), wide={}),
}


class Watch:
    """What this process opens, or has a child do: an audit hook stays for good, so it only listens while it is asked to."""

    EVENTS = frozenset(
        {"socket.connect", "socket.getaddrinfo", "socket.sendmsg", "subprocess.Popen", "os.fork"}
    )

    def __init__(self) -> None:
        self._seen: list[str] | None = None
        self._ours = 0
        sys.addaudithook(self._hear)

    @contextmanager
    def listening(self, port: int) -> Iterator[list[str]]:
        """Note what is opened meanwhile, but for the client's own way to the API."""
        self._seen, self._ours = [], port
        try:
            yield self._seen
        finally:
            self._seen = None

    def _hear(self, event: str, told: tuple[Any, ...]) -> None:
        if self._seen is not None and event in self.EVENTS:
            way = told[1:] if event == "socket.connect" else told[:1]
            if way != (("127.0.0.1", self._ours),):
                self._seen.append(f"{event} {way}")


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


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


async def test_hostile_addresses_and_refs_are_refused_before_anything_is_opened(
    served: Served, watch: Watch
) -> None:
    addresses = (*HIDDEN, *NO_ADDRESS)
    assert len(set(addresses)) >= 120
    assert len(set(NO_REFS)) >= 40
    with watch.listening(served.platform.settings.api_port) as opened:
        assert await refusals(served, "url", addresses) == {}
        assert await refusals(served, "ref", NO_REFS) == {}
    assert opened == []
    assert (await served.client.get("/api/v1/tasks")).json()["items"] == []


async def test_hostile_zips_are_refused_and_not_kept(served: Served) -> None:
    odd = {}
    for name, content in HOSTILE_ZIPS.items():
        files = multipart('{"prompt": "x"}', content)
        answer = await served.client.post("/api/v1/tasks", files=files)
        problem = answer.json()
        said = (answer.status_code, problem["code"], problem["errors"][0]["pointer"])
        if said != (422, "zip_refused", "/file"):
            odd[name] = answer.text
    assert odd == {}
    assert await served.platform.objects.names("codexsys-code/") == []


async def test_ordinary_zips_are_taken_as_they_are(served: Served, watch: Watch) -> None:
    for name, content in ORDINARY_ZIPS.items():
        files = multipart('{"prompt": "x"}', content)
        with watch.listening(served.platform.settings.api_port) as opened:
            made = await served.client.post("/api/v1/tasks", files=files)
        assert any("sendmsg" in each for each in opened), "no child was asked"
        assert made.status_code == 202, (name, made.text)
        kept = f"codexsys-code/tmp_zips/{made.json()['id']}/code.zip"
        assert await served.platform.objects.get(kept) == content
