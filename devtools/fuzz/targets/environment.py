"""What an operator's environment says: variables, URLs, hosts."""

from __future__ import annotations

import os
from random import Random
from typing import Final
from unittest.mock import patch

from pydantic import ValidationError
from yarl import URL

from devtools.fuzz.target import Target
from devtools.fuzz.values import SECRET, assert_hidden, below, pick, spoiled, text
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.streaming import batch_url, shown_url
from worker.environment_variables import PREFIX, is_link, judge
from worker.ordering.redis_store import RedisStore
from worker.ordering.store_protocol import Timing
from worker.settings import UnusableSetting, WorkerSettings

_KNOWN: Final = sorted(f"{PREFIX}{name.upper()}" for name in WorkerSettings.model_fields)
_NAMES: Final = (
    *_KNOWN,
    *("CONSENT_WORKER_PORT", "CONSENT_WORKER_HTTP_PORT", "CONSENT_WORKER_SERVICE_HOST", "PATH"),
    *("CONSENT_WORKER_PORT_8080_TCP_ADDR", "REDIS_PORT_6379_TCP", "CONSENT_WORKER_TEST_X"),
)
_VALUES: Final = (
    *("1", "0", "-1", "1e999", "nan", "inf", "true", "10_0", "", " ", "tcp://10.0.0.1:80", "auto"),
    *(f"amqp://u:{SECRET}@h:5672/", f"redis://:{SECRET}@h/0", "amqps://", "redis://[::1", "native"),
    *(
        "a,b,,c",
        "[]",
        '["a"]',
        "{",
        "9" * 5_000,
        "redis://h/x",
        "redis://h?a=b",
        "rediss://h:99999",
    ),
)
_HOSTS: Final = (
    *("dcs.adobedc.net", "a.adobedc.net", "adobedc.net", "evil.example", "127.0.0.1", "[::1]"),
    *(
        "[::ffff:10.0.0.1]",
        "dcs.adobedc.net.",
        "DCS.ADOBEDC.NET",
        "xn--dcs",
        "2130706433",
        "0x7f.1",
    ),
    *("dcs.adobedc.net%00.evil.example", "evil.example#dcs.adobedc.net", "dcs。adobedc。net"),
    *(
        "user:pass@dcs.adobedc.net",
        "dcs.adobedc.net@evil.example",
        "dcs.adobedc.net\\@evil.example",
    ),
    *("[fe80::1%25eth0]", "ß.adobedc.net", "localhost", "a" * 300 + ".adobedc.net", ""),
)
_PARTS: Final = (
    "",
    "/",
    "/collection/1",
    ":443",
    ":80",
    ":99999",
    ":",
    "?q=1",
    "#f",
    "/\x00",
    "\n",
)
_SCHEMES: Final = ("https://", "http://", "HTTPS://", "//", "https:", "https:///", "ftp://", " ")
_ALLOWED: Final = ("dcs.adobedc.net", "*.adobedc.net")
_POLICIES: Final = (EndpointPolicy(_ALLOWED), EndpointPolicy(_ALLOWED, allow_insecure=True))


def make_variables(r: Random) -> dict[str, str]:
    """An environment, without what no environment can hold."""
    return {_name(r): _value(r) for _ in range(below(r, 5))}


def _name(r: Random) -> str:
    name = pick(r, _NAMES)
    if r.random() < 0.3:
        at = below(r, len(name))
        name = (
            name[:at]
            + pick(r, ("", "X", "_", "\u00df", name[at : at + 1].lower()))
            + name[at + 1 :]
        )
    if r.random() < 0.03:
        name = text(r)
    return _possible(name).replace("=", "") or "X"


def _value(r: Random) -> str:
    return _possible(pick(r, _VALUES) if r.random() < 0.7 else text(r))


def _possible(said: str) -> str:
    return said.replace("\x00", "").encode(errors="ignore").decode()


def check_judgement(variables: dict[str, str]) -> None:
    """Each variable has one place at most."""
    judgement = judge(variables, _KNOWN)
    told = [*(one for one, _ in judgement.mistaken), *judgement.unknown, *judgement.links]
    assert len(told) == len(set(told))
    assert set(told) <= set(variables)
    assert not set(told) & set(_KNOWN) - set(judgement.links)
    for name, value in variables.items():
        is_link(name, value)


def check_settings(variables: dict[str, str]) -> None:
    """Settings are made, or a sentence says what is wrong, without the value."""
    with patch.dict(os.environ, variables, clear=True):
        try:
            WorkerSettings()
        except (ValidationError, UnusableSetting) as error:
            assert_hidden(str(error))


def make_url(r: Random) -> str:
    """A URL, or what should be one."""
    if r.random() < 0.1:
        return text(r, 512)
    url = pick(r, _SCHEMES) if r.random() < 0.3 else "https://"
    url += pick(r, _HOSTS) + pick(r, _PARTS) + pick(r, _PARTS)
    if r.random() < 0.2:
        return spoiled(r, url.encode(errors="surrogatepass")).decode(errors="replace")
    return url


def check_url(url: str) -> None:
    """Only a listed host is called, over TLS, as the client of HTTP reads the URL."""
    for policy in _POLICIES:
        problem = policy.problem(url)
        policy.service_problem(url)
        if problem is None and not policy.allow_insecure:
            called = URL(url)
            assert called.scheme == "https"
            assert called.port == 443
            host = (called.raw_host or "").lower().rstrip(".")
            assert host == "dcs.adobedc.net" or host.endswith(".adobedc.net"), "another host"
        if problem is None:
            URL(batch_url(url))
    assert len(shown_url(url)) <= len(url) + len("?***")


def make_redis_url(r: Random) -> str:
    """A URL of Redis, or what should be one."""
    if r.random() < 0.2:
        return make_url(r)
    url = pick(r, ("redis://", "rediss://", "unix://", "redis:/")) + pick(
        r, (*_HOSTS, f":{SECRET}@h")
    )
    return url + pick(
        r, ("", "/0", "/x", "/99", ":6379", ":x", "?db=1", "?ssl_ca_certs=/x", "?a=b")
    )


def check_redis_url(url: str) -> None:
    """Redis is reached by it, or a sentence says that it can't be, without the URL."""
    try:
        RedisStore(url, Timing())
    except ValueError as error:
        assert_hidden(str(error))


TARGETS: Final = (
    Target("variables", make_variables, check_judgement, share=1),
    Target("settings", make_variables, check_settings, share=1),
    Target("urls", make_url, check_url, share=20),
    Target("redis-urls", make_redis_url, check_redis_url, share=3),
)
