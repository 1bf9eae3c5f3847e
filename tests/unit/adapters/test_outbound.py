from pathlib import Path

import httpx2
import pytest
from tests.support.git_http import GitHttpServer

from codexsys_adapters.outbound import Outbound, OutboundFailure, denied
from codexsys_core.errors import Invalid

SPECIAL = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "140.82.121.4",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_are_denied(address: str) -> None:
    assert denied(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_not(address: str) -> None:
    assert not denied(address)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://Example.ORG/a/b.git", "https://example.org/a/b.git"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("https://example.org.:8443", "https://example.org:8443/"),
        ("https://exämple.org/a?b=c", "https://xn--exmple-cua.org/a?b=c"),
        ("https://\uff45xample.org/", "https://example.org/"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://[2606:4700:0::1111]/x", "https://[2606:4700::1111]/x"),
    ],
)
def test_a_url_has_one_form(url: str, canonical: str) -> None:
    assert Outbound().vet(url).url == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/a",
        "git@example.org:a/b.git",
        "ssh://example.org/a",
        "file:///etc/passwd",
        "ext::sh -c id",
        "--upload-pack=id",
        "http://example.org/a",
        "https:///a",
        "https://user:secret@example.org/a",
        "https://@example.org/a",
        "https://exa mple.org/a",
        "https://evil\0.example.org/a",
        "https://example.org/a\nb",
        "https://example.org/a\rb",
        "https://example.org\\@10.0.0.1/",
        "https://example.org%00.evil.org/a",
        "https://example.org/a#b",
        "https://example.org:0/a",
        "https://example.org:99999/a",
        "https://example.org:x/a",
        "https://0x7f.1/a",
        "https://0x7f000001/a",
        "https://0177.0.0.1/a",
        "https://2130706433/a",
        "https://017700000001/a",
        "https://127.1/a",
        "https://127.000.000.001/a",
        "https://0/a",
        "https://[::1%25eth0]/a",
        "https://[::g]/a",
        "https://-x.org/a",
        "https://a..b/a",
        "https://" + "a" * 64 + ".org/",
        "https://example.org/" + "a" * 2048,
    ],
)
def test_what_is_not_plain_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Outbound().vet(url)
    assert refusal.value.code == "url_refused"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a",
        "https://\uff11\uff12\uff17.0.0.1/a",
        "https://127。0。0。1/a",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://[fd00:ec2::254]/a",
    ],
)
def test_literal_addresses_are_checked_without_a_connection(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Outbound().vet(url)
    assert refusal.value.code == "address_denied"


async def test_a_name_that_leads_to_loopback_is_denied() -> None:
    with pytest.raises(OutboundFailure) as failure:
        await Outbound().resolve("https://localhost/a")
    assert failure.value.reason == "address_denied"


async def test_an_unknown_host_is_said_to_be_unknown() -> None:
    with pytest.raises(OutboundFailure) as failure:
        await Outbound().resolve("https://nowhere.invalid/a")
    assert failure.value.reason == "host_unknown"


async def test_the_allow_list_wins_for_its_range_alone() -> None:
    outbound = Outbound(allow_networks=["127.0.0.0/8"], allow_http=True)
    assert (await outbound.resolve("http://localhost:1/")).addresses == ("127.0.0.1",)
    with pytest.raises(Invalid):
        outbound.vet("http://10.0.0.1/")
    with pytest.raises(Invalid):
        outbound.vet("http://[::1]/")


async def test_a_trusted_host_is_trusted_at_its_port() -> None:
    outbound = Outbound(trusted_hosts={"127.0.0.1:8000"}, allow_http=True)
    assert (await outbound.resolve("http://127.0.0.1:8000/")).addresses == ("127.0.0.1",)
    with pytest.raises(Invalid):
        outbound.vet("http://127.0.0.1:8001/")


async def test_the_client_reaches_checked_addresses_only(tmp_path: Path) -> None:

    with GitHttpServer(tmp_path, statuses={"/": 204}) as server:
        url = server.url("x", host="localhost")
        async with Outbound(allow_http=True).async_client() as client:
            with pytest.raises(httpx2.ConnectError, match="does not connect"):
                await client.get(url)
        assert server.requests == []
        allowed = Outbound(allow_networks=["127.0.0.0/8"], allow_http=True)
        async with allowed.async_client() as client:
            assert (await client.get(url)).status_code == 204
        async with Outbound(allow_networks=["127.0.0.0/8"]).async_client() as client:
            with pytest.raises(httpx2.UnsupportedProtocol):
                await client.get(url)


async def test_the_client_follows_no_redirect(tmp_path: Path) -> None:
    with GitHttpServer(tmp_path, redirects={"/a": "http://127.0.0.1:1/b"}) as server:
        outbound = Outbound(allow_networks=["127.0.0.0/8"], allow_http=True)
        async with outbound.async_client() as client:
            assert (await client.get(server.url("a"))).status_code == 302
