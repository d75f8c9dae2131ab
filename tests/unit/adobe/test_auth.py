"""Access tokens: refreshed ahead, one refresh at a time, never hammered for, never shown."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import weakref
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from devtools.waiting import wait_until
from tests.unit.adobe.server import serving
from worker.adobe.access_tokens import TokenSource, TokenSources, TokenUnavailable
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import open_session
from worker.adobe.token_life import AccessToken
from worker.integrations.sections import Authentication
from worker.sandbox.app import Sandbox

NESTED = b"[" * 60_000


class Bench:
    """The emulator's token endpoint, sources of its tokens, and a clock to turn by hand."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.now = 1000.0

    def source(self, url: str = "", **changes: Any) -> TokenSource:
        document = {"client_id": "c", "client_secret": "first", "api_key": "k"}
        authentication = Authentication.model_validate(document | changes)
        url = url or f"{self.sandbox.url}/ims/token/v3"
        return TokenSource(self.session, url, authentication, lambda: self.now)

    def fail(self, **fault: Any) -> None:
        self.sandbox.state.inject(**({"target": "token", "kind": "status", "status": 500} | fault))

    @property
    def asked(self) -> int:
        return len(self.sandbox.state.requests)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Sandbox() as sandbox, open_session(EndpointPolicy((), True), 2) as session:
        yield Bench(sandbox, session)


async def _failure(source: TokenSource) -> str:
    with pytest.raises(TokenUnavailable) as unavailable:
        await source.token()
    return unavailable.value.reply.error


def test_a_token_does_not_show_its_value() -> None:
    token = AccessToken("hush", 0, 10)
    assert "hush" not in f"{token!r} {token}"


async def test_how_long_a_token_still_lives_is_told_without_asking_for_one(bench: Bench) -> None:
    source = bench.source()
    assert source.seconds_left is None
    token = await source.token()
    assert source.seconds_left == token.expires_at - bench.now
    bench.now = token.expires_at + 5
    assert source.seconds_left == -5
    assert bench.asked == 1


async def test_many_callers_share_one_request_even_if_one_of_them_is_cancelled(
    bench: Bench,
) -> None:
    bench.fail(kind="latency", latency_ms=100)
    source = bench.source()
    callers = [asyncio.create_task(source.token()) for _ in range(10)]
    await wait_until(lambda: bench.asked, "the request")
    callers[0].cancel()
    tokens = await asyncio.gather(*callers[1:])
    assert len({one.value for one in tokens}) == 1
    assert bench.asked == 1


async def test_a_refresh_ahead_that_fails_leaves_the_token_in_use_and_pauses(
    bench: Bench,
) -> None:
    source = bench.source()
    token = await source.token()
    bench.now = token.refresh_at
    bench.fail()
    assert await source.token() is token
    await wait_until(lambda: bench.asked == 2, "the refresh")

    async def is_paused() -> bool:
        asked = bench.asked
        assert await source.token() is token
        return bench.asked == asked and source.refreshes == asked

    await wait_until(is_paused, "the failure")
    bench.sandbox.state.clear_faults()
    bench.now += 1.1

    async def is_renewed() -> bool:
        return await source.token() is not token

    await wait_until(is_renewed, "a new token after the pause")


async def test_a_token_past_its_end_is_not_used(bench: Bench) -> None:
    source = bench.source()
    token = await source.token()
    bench.now = token.expires_at
    assert (await source.token()).value != token.value


async def test_while_the_endpoint_fails_it_is_asked_at_growing_pauses(bench: Bench) -> None:
    bench.fail()
    source = bench.source()
    asked = []
    for _ in range(100):
        assert await _failure(source) == "token-unavailable"
        asked.append(bench.asked)
        bench.now += 1
    assert asked[:4] == [1, 2, 2, 3], "after 1 s, then 2 s"
    assert asked[-1] <= 8, "then ever less often"
    bench.sandbox.state.clear_faults()
    bench.now += 30
    assert await source.token(), "the longest pause is half a minute"


@pytest.mark.parametrize(
    ("accepted", "asked"),
    [
        pytest.param(["first"], 1, id="first"),
        pytest.param(["second"], 2, id="second"),
        pytest.param(["first", "second"], 1, id="both"),
    ],
)
async def test_either_secret_serves_while_they_are_rotated(
    bench: Bench, accepted: list[str], asked: int
) -> None:
    bench.sandbox.state.credentials["c"] = accepted
    assert await bench.source(second_client_secret="second").token()
    assert bench.asked == asked


async def test_when_both_secrets_are_refused_that_is_said(bench: Bench) -> None:
    bench.sandbox.state.credentials["c"] = ["third"]
    assert await _failure(bench.source(second_client_secret="second")) == "token-refused"
    assert bench.asked == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(
            {"status": 400, "body": {"error": "invalid_scope"}}, "token-refused", id="scope"
        ),
        pytest.param({"status": 429, "retry_after": "5"}, "token-unavailable", id="throttled"),
        pytest.param({"status": 302}, "adobe-redirected", id="redirected"),
        pytest.param({"kind": "reset"}, "token-unavailable", id="reset"),
    ],
)
async def test_a_second_secret_is_not_tried_for_what_no_secret_mends(
    bench: Bench, fault: dict[str, Any], error: str
) -> None:
    bench.fail(**fault)
    assert await _failure(bench.source(second_client_secret="second")) == error
    assert bench.asked == 1


async def test_a_token_endpoint_that_is_silent_is_a_timeout(bench: Bench) -> None:
    bench.fail(kind="hang")
    async with open_session(EndpointPolicy((), True), 0.1) as impatient:
        bench.session = impatient
        assert await _failure(bench.source()) == "timeout"


@pytest.mark.parametrize(
    "document",
    [
        pytest.param([], id="a list"),
        pytest.param(NESTED, id="lists without end"),
        pytest.param("text", id="text"),
        pytest.param({"expires_in": 10}, id="no token"),
        pytest.param({"access_token": "", "expires_in": 10}, id="empty token"),
        pytest.param({"access_token": 7, "expires_in": 10}, id="a number as token"),
        pytest.param({"access_token": "a\r\nX: 1", "expires_in": 9}, id="a header in the token"),
        pytest.param({"access_token": "a\0b", "expires_in": 9}, id="a NUL in the token"),
        pytest.param({"access_token": "tök", "expires_in": 9}, id="no ASCII in the token"),
    ],
)
async def test_an_answer_that_is_no_token_is_an_endpoint_that_is_not_available(
    bench: Bench, document: Any
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        body = document if document is NESTED else orjson.dumps(document)
        return web.Response(body=body)

    async with serving(answer) as url:
        assert await _failure(bench.source(url)) == "token-unavailable"


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        pytest.param(86_399, 86_399, id="seconds"),
        pytest.param("3600", 3600, id="as text"),
        pytest.param(86_399_000, 86_399, id="milliseconds"),
        pytest.param(1e308, 864_000, id="nearly for ever"),
        pytest.param(10**400, 3600, id="hundreds of digits"),
        pytest.param("9" * 5000, 3600, id="thousands of digits as text"),
        pytest.param(math.inf, 3600, id="infinity"),
        pytest.param("inf", 3600, id="infinity as text"),
        pytest.param(math.nan, 3600, id="no number"),
        pytest.param("nan", 3600, id="no number as text"),
        pytest.param(0, 3600, id="at its end"),
        pytest.param(0.001, 3600, id="nearly at its end"),
        pytest.param(-1, 3600, id="past its end"),
        pytest.param("soon", 3600, id="words"),
        pytest.param("", 3600, id="an empty text"),
        pytest.param(True, 3600, id="a bool"),
        pytest.param(None, 3600, id="null"),
        pytest.param([60], 3600, id="a list"),
        pytest.param({"seconds": 60}, 3600, id="an object"),
    ],
)
async def test_the_life_of_a_token(bench: Bench, expires_in: Any, seconds: float) -> None:
    """RFC 6749, section 5.1, only recommends to say it: whatever is said, the token is used."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"access_token": "t", "expires_in": expires_in}))

    async with serving(answer) as url:
        token = await bench.source(url).token()
    assert token.expires_at - bench.now == seconds
    assert bench.now < token.refresh_at < token.expires_at


async def test_tokens_that_are_refused_although_fresh_are_renewed_ever_less_often(
    bench: Bench,
) -> None:
    source = bench.source()
    renewed = []
    for _ in range(120):
        token = await source.token()
        source.distrust(token)
        source.refuse(token)
        renewed.append(await source.token() is not token)
        bench.now += 1
    assert renewed[:4] == [True, True, False, True]
    assert 5 <= renewed.count(True) <= 8
    assert bench.asked == renewed.count(True) + 1
    source.helped()
    token = await source.token()
    source.refuse(token)
    assert await source.token() is not token, "once a token helped, the brake is off"


async def test_a_second_refusal_soon_after_is_no_proof_that_a_fresh_token_is_refused(
    bench: Bench,
) -> None:
    """The first one's fresh token may never have been tried: its connection may have broken."""
    source = bench.source()
    source.refuse(await source.token())
    token = await source.token()
    with pytest.raises(TokenUnavailable) as refusal:
        source.refuse(token)
    assert refusal.value.reply.error == "token-unavailable"


async def test_a_refusal_of_an_older_token_is_no_reason_to_drop_the_new_one(bench: Bench) -> None:
    source = bench.source()
    old = await source.token()
    source.refuse(old)
    new = await source.token()
    source.refuse(old)
    assert await source.token() is new


async def test_integrations_share_a_credential_until_it_changes(bench: Bench) -> None:
    sources = TokenSources(bench.session, f"{bench.sandbox.url}/ims/token/v3")

    def authentication(**changes: str) -> Authentication:
        document = {"client_id": "c", "client_secret": "first", "api_key": "k"}
        return Authentication.model_validate(document | changes)

    shared = sources.source(authentication())
    assert sources.source(authentication()) is shared
    assert sources.source(authentication(client_id="d")) is not shared
    rotated = sources.source(authentication(client_secret="second"))
    assert rotated is not shared
    assert sources.source(authentication(client_secret="second")) is rotated


async def test_two_integrations_with_one_client_id_and_two_secrets_keep_a_token_each(
    bench: Bench,
) -> None:
    sources = TokenSources(bench.session, f"{bench.sandbox.url}/ims/token/v3")
    document = {"client_id": "c", "api_key": "k"}
    both = [
        Authentication.model_validate(document | {"client_secret": secret})
        for secret in ("first", "second")
    ]
    for _ in range(20):
        for one in both:
            await sources.source(one).token()
    assert bench.asked == 2


async def test_a_token_is_kept_however_many_other_credentials_are_in_use(bench: Bench) -> None:
    sources = TokenSources(bench.session, f"{bench.sandbox.url}/ims/token/v3")
    document = {"client_secret": "first", "api_key": "k"}
    many = [
        Authentication.model_validate(document | {"client_id": str(number)})
        for number in range(10_000)
    ]
    before = await sources.source(many[0]).token()
    for one in many:
        sources.source(one)
    assert await sources.source(many[0]).token() is before
    assert bench.asked == 1


async def test_a_token_that_says_no_end_is_used_for_an_hour() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "t"})

    async with serving(answer) as url, open_session(EndpointPolicy((), True), 2) as session:
        document = {"client_id": "c", "client_secret": "first", "api_key": "k"}
        source = TokenSource(session, url, Authentication.model_validate(document), lambda: 1000.0)
        assert (await source.token()).expires_at == 1000 + 3600


async def test_credentials_that_nobody_uses_any_more_are_forgotten(bench: Bench) -> None:
    sources = TokenSources(bench.session, f"{bench.sandbox.url}/ims/token/v3")
    document = {"client_secret": "first", "api_key": "k"}
    kept, gone = (
        Authentication.model_validate(document | {"client_id": one}) for one in ("kept", "gone")
    )
    before, watched = sources.source(kept), weakref.ref(sources.source(gone))
    sources.keep_only([kept])
    gc.collect()
    assert watched() is None
    assert sources.source(kept) is before
