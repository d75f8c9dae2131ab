"""The allow-list by name, and the second look at the address that a name resolves to."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest
from aiohttp import ClientSession, web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.unit.adobe.server import serving
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.guarded_resolver import GuardedResolver, resolver_for
from worker.adobe.http_client import ExchangeFailed, exchange, open_session
from worker.service.pipeline_from_settings import build_client
from worker.settings import UnusableSetting, WorkerSettings


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
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("192.88.99.1", id="relay of 6to4"),
        pytest.param("::", id="unspecified v6"),
        pytest.param("::7f00:1", id="loopback, IPv4-compatible"),
        pytest.param("::808:808", id="any IPv4-compatible"),
        pytest.param("::ffff:0:a00:1", id="IPv4-translated"),
        pytest.param("192.0.0.1", id="protocols'"),
        pytest.param("192.0.0.10", id="protocols', an anycast one"),
        pytest.param("192.0.0.192", id="protocols', not assigned"),
        pytest.param("192.0.0.255", id="protocols', their end"),
        pytest.param("::ffff:192.0.0.192", id="protocols' as v6"),
        pytest.param("64:ff9b::c000:c0", id="protocols' through NAT64"),
        pytest.param("2002:c000:c0::1", id="protocols' through 6to4"),
        pytest.param("2001:1::1", id="protocols' of v6, an anycast one"),
        pytest.param("2001:20::1", id="protocols' of v6, names of hosts"),
        pytest.param("2001:1ff:ffff::1", id="protocols' of v6, their end"),
        pytest.param("::ffff:127.0.0.1", id="loopback as v6"),
        pytest.param("64:ff9b::7f00:1", id="loopback through NAT64"),
        pytest.param("64:ff9b:1::808:808", id="a network's own NAT64"),
        pytest.param("64:ff9b:1:ffff::a00:1", id="a network's own NAT64, its end"),
        pytest.param("fec0::1", id="site-local"),
        pytest.param("feff::1", id="site-local, its end"),
        pytest.param("fc00::1", id="unique local, the other half"),
        pytest.param("2002:7f00:1::1", id="loopback through 6to4"),
        pytest.param("2002:c0a8:101::1", id="private 192 through 6to4"),
        pytest.param("2001:0:a00:1::f5ff:fffe", id="Teredo"),
        pytest.param("2001:0:4136:e378:8000:63bf:f7f7:f7f7", id="Teredo around a public one"),
        pytest.param("2606:4700::5efe:a00:1", id="private v4 by ISATAP"),
        pytest.param("2606:4700::200:5efe:7f00:1", id="loopback by ISATAP"),
        pytest.param("2001:db8::1", id="documentation"),
        pytest.param("3fff::1", id="documentation, new"),
        pytest.param("100::1", id="discarded"),
        pytest.param("5f00::1", id="segment routing"),
        pytest.param("ff02::1", id="multicast v6"),
        pytest.param("ff0e::1", id="multicast v6, global"),
    ],
)
async def test_a_name_that_resolves_to_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(OSError, match="private address"):
        await GuardedResolver(Names(address)).resolve("dcs.adobedc.net", 443)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("8.8.8.8", id="v4"),
        pytest.param("192.0.1.1", id="v4 after the protocols'"),
        pytest.param("2001:200::1", id="v6 after the protocols'"),
        pytest.param("2606:4700::1111", id="v6"),
        pytest.param("64:ff9b::808:808", id="v4 through NAT64"),
        pytest.param("2002:808:808::1", id="v4 through 6to4"),
        pytest.param("::ffff:8.8.8.8", id="v4 as v6"),
        pytest.param("2a00:1450:4001:80b::200e", id="v6 of Europe"),
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
    assert not isinstance(resolver_for(policy), GuardedResolver)
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
        pytest.param("https://\x1cɹ.adobedc.net/x", False, "characters that no host", id="control"),
        pytest.param("HTTPS://Dcs.AdobeDC.net/x", False, None, id="capitals"),
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


@pytest.mark.parametrize(
    ("url", "insecure", "problem"),
    [
        pytest.param("https://ims-na1.adobelogin.com/ims/token/v3", False, None, id="Adobe's"),
        pytest.param("https://ims.example:8443/", False, None, id="any public host and port"),
        pytest.param("http://ims.example/", False, "https://", id="plain http"),
        pytest.param("HTTP://ims.example/", False, "https://", id="plain http in capitals"),
        pytest.param("http://sandbox:9000/", True, None, id="plain http locally"),
        pytest.param("http://127.0.0.1:9000/", True, None, id="loopback locally"),
        pytest.param("https://u:hush@ims.example/", False, "password", id="credentials"),
        pytest.param("https://hush@ims.example/", True, "password", id="a user, locally"),
        pytest.param("https://127.0.0.1/", False, "private", id="loopback"),
        pytest.param("https://[::7f00:1]/", False, "private", id="loopback, IPv4-compatible"),
        pytest.param("https://[fec0::1]/", False, "private", id="site-local"),
        pytest.param("https://[64:ff9b:1::a00:1]/", False, "private", id="NAT64"),
        pytest.param("https://localhost/", False, "private", id="localhost"),
        pytest.param("https://localhost./", False, "private", id="localhost with a dot"),
        pytest.param("https://ims.localhost/", False, "private", id="below localhost"),
        pytest.param("ftp://ims.example/", True, "https://", id="another scheme"),
        pytest.param("ims.example", True, "https://", id="no URL"),
        pytest.param("", True, "https://", id="empty"),
        pytest.param("https://[::1", True, "is not a URL", id="broken brackets"),
    ],
)
def test_a_url_of_the_settings_is_checked_as_an_endpoint_is(
    monkeypatch: pytest.MonkeyPatch, url: str, insecure: bool, problem: str | None
) -> None:
    said = EndpointPolicy((), insecure).service_problem(url)
    assert (said is None) == (problem is None)
    assert (problem or "") in (said or "")
    assert "hush" not in (said or "")
    for name in ("IMS_URL", "PLATFORM_URL"):
        with monkeypatch.context() as environment:
            environment.setenv(f"CONSENT_WORKER_{name}", url)
            environment.setenv("CONSENT_WORKER_ALLOW_INSECURE", str(insecure))
            settings = WorkerSettings()
        # The session is of no matter: nothing is asked.
        if problem is None:
            build_client(settings, cast(ClientSession, None))
        else:
            with pytest.raises(UnusableSetting, match=f"CONSENT_WORKER_{name}: "):
                build_client(settings, cast(ClientSession, None))
