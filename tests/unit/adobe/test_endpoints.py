"""The allow-list by name, and the second look at the address that a name resolves to."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.unit.adobe.server import serving
from worker.adobe.endpoints import EndpointPolicy, GuardedResolver, resolver_for
from worker.adobe.http import ExchangeFailed, exchange, open_session


class Names(AbstractResolver):
    """A DNS whose answers a test chooses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.is_closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in self.addresses
        ]

    async def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("::1", id="loopback v6"),
        pytest.param("10.1.2.3", id="private 10"),
        pytest.param("172.16.0.1", id="private 172"),
        pytest.param("192.168.0.1", id="private 192"),
        pytest.param("169.254.169.254", id="metadata of a cloud"),
        pytest.param("100.64.0.1", id="carrier-grade NAT"),
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("fd00::1", id="unique local v6"),
        pytest.param("fe80::1%eth0", id="link-local v6 with its zone"),
        pytest.param("::ffff:10.0.0.1", id="private v4 as v6"),
        pytest.param("64:ff9b::a00:1", id="private v4 through NAT64"),
        pytest.param("2002:a00:1::", id="private v4 through 6to4"),
        pytest.param("224.0.0.1", id="multicast"),
    ],
)
async def test_a_name_that_resolves_to_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(OSError, match="private address"):
        await GuardedResolver(Names(address)).resolve("dcs.adobedc.net", 443)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("8.8.8.8", id="v4"),
        pytest.param("2606:4700::1111", id="v6"),
        pytest.param("64:ff9b::808:808", id="v4 through NAT64"),
    ],
)
async def test_only_the_global_addresses_of_a_name_are_used(address: str) -> None:
    resolved = await GuardedResolver(Names("10.0.0.1", address)).resolve("dcs.adobedc.net", 443)
    assert [one["host"] for one in resolved] == [address]


async def test_closing_it_closes_what_it_asks() -> None:
    names = Names()
    await GuardedResolver(names).close()
    assert names.is_closed


@pytest.fixture
async def calls() -> AsyncIterator[tuple[str, list[str]]]:
    """A server on this machine, and the paths it was asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="internal")

    async with serving(answer) as url:
        yield url.replace("127.0.0.1", "localhost"), asked


async def test_a_session_never_reaches_this_machine_by_a_name(
    calls: tuple[str, list[str]],
) -> None:
    url, asked = calls
    async with open_session(EndpointPolicy(("localhost",)), 2) as session:
        with pytest.raises(ExchangeFailed) as failed:
            await exchange(session, "GET", f"{url}/secret")
    assert failed.value.error == "connection-failed"
    assert "localhost" not in failed.value.detail
    assert asked == []


async def test_local_use_may_reach_this_machine(calls: tuple[str, list[str]]) -> None:
    url, asked = calls
    policy = EndpointPolicy(("localhost",), allow_insecure=True)
    assert resolver_for(policy) is None
    async with open_session(policy, 2) as session:
        assert (await exchange(session, "GET", f"{url}/local")).body == b"internal"
    assert asked == ["/local"]


@pytest.mark.parametrize(
    ("url", "insecure", "problem"),
    [
        pytest.param("https://dcs.adobedc.net/x", False, None, id="listed"),
        pytest.param("https://DCS.adobedc.net/x", False, None, id="in capitals"),
        pytest.param("http://dcs.adobedc.net/x", True, None, id="plain http locally"),
        pytest.param("http://dcs.adobedc.net:9000/x", True, None, id="any port locally"),
        pytest.param("https://[::1/x", False, "is not a URL", id="broken brackets"),
        pytest.param("https://dcs.adobedc.net:port/x", False, "is not a URL", id="port of text"),
        pytest.param("https://dcs.adobedc.net:99999/x", False, "is not a URL", id="port too high"),
        pytest.param("/collection/1", False, "https:// URL", id="no host"),
        pytest.param("https:///x", False, "https:// URL", id="empty host"),
        pytest.param("https://dcs.adobedc.net./x", False, "not on the allow-list", id="final dot"),
        pytest.param("https://localhost/x", False, "private", id="localhost"),
        pytest.param("https://[::1]/x", False, "private", id="loopback v6"),
        pytest.param("https://10.0.0.1/x", False, "private", id="private v4"),
        pytest.param("https://10.0.0.1/x", True, None, id="private v4 locally"),
        pytest.param("https://8.8.8.8/x", False, None, id="global and listed"),
    ],
)
def test_the_policy(url: str, insecure: bool, problem: str | None) -> None:
    hosts = ("dcs.adobedc.net", "localhost", "::1", "10.0.0.1", "8.8.8.8")
    said = EndpointPolicy(hosts, insecure).problem(url)
    assert (said or "").find(problem or "") >= 0
    assert (said is None) == (problem is None)


def test_an_empty_allow_list_says_so() -> None:
    assert "(empty)" in (EndpointPolicy(()).problem("https://dcs.adobedc.net/x") or "")


def test_a_refused_url_shows_no_credentials() -> None:
    policy = EndpointPolicy(("dcs.adobedc.net",))
    for url in ("https://u:hush@dcs.adobedc.net/x", "https://hush@evil.example/x"):
        assert "hush" not in (policy.problem(url) or "")
