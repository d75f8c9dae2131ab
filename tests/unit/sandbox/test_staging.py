"""Every kind of fault at every target, as a caller meets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from devtools.waiting import wait_until
from tests.unit.sandbox.conftest import Answer, Caller, upsert

Call = Callable[[Caller], Awaitable[Answer]]
CALLS: dict[str, Call] = {
    "collection": lambda caller: caller.send(upsert()),
    "token": lambda caller: caller.token(),
    "lookup": lambda caller: caller.look_up(),
}
KEY = ("d", "a@b.example")
USUAL = {"collection": 200, "token": 200, "lookup": 404}
EVERY_TARGET = pytest.mark.parametrize("target", CALLS)


@EVERY_TARGET
async def test_a_status_without_a_body_is_an_empty_object(caller: Caller, target: str) -> None:
    caller.state.inject(target=target, kind="status", status=429)
    answer = await CALLS[target](caller)
    assert (answer.status, answer.body) == (429, {})
    assert "Retry-After" not in answer.headers


async def test_a_body_that_is_text_is_sent_as_it_is(caller: Caller) -> None:
    caller.state.inject(target="collection", kind="status", status=207, body="<html>", times=1)
    url = f"{caller.sandbox.url}/collection/i"
    async with caller.session.post(url, json=upsert()) as answer:
        assert (answer.status, await answer.text()) == (207, "<html>")


async def test_a_partial_failure_refuses_every_second_message_of_a_batch(caller: Caller) -> None:
    caller.state.inject(target="collection", kind="partial", status=429, times=2)
    messages = [upsert(x=1), upsert(y=2), upsert(z=3)]
    answer = await caller.send({"messages": messages}, "/collection/batch/i")
    assert answer.status == 207
    assert [one.get("statusCode", 200) for one in answer.body["responses"]] == [200, 429, 200]
    assert caller.state.profiles[KEY].record.keys() >= {"x", "z"}
    assert "y" not in caller.state.profiles[KEY].record
    assert (await caller.send(upsert(y=2))).status == 200


@EVERY_TARGET
async def test_a_reset_drops_the_connection(caller: Caller, target: str) -> None:
    caller.state.inject(target=target, kind="reset")
    with pytest.raises(aiohttp.ClientConnectionError):
        await CALLS[target](caller)
    caller.state.clear_faults()
    assert (await CALLS[target](caller)).status == USUAL[target]


@EVERY_TARGET
async def test_a_reset_after_processing_has_done_the_work(caller: Caller, target: str) -> None:
    issued = caller.state.tokens_issued
    caller.state.inject(target=target, kind="reset-after-processing")
    with pytest.raises(aiohttp.ClientConnectionError):
        await CALLS[target](caller)
    assert len(caller.state.profiles) == (target == "collection")
    assert caller.state.tokens_issued - issued == (target == "token")


@EVERY_TARGET
async def test_a_refused_token_says_so_in_the_words_of_each_service(
    caller: Caller, target: str
) -> None:
    caller.state.inject(target=target, kind="refuse-token")
    answer = await CALLS[target](caller)
    said = {
        "token": (400, "error", "invalid_client"),
        "lookup": (401, "error_code", "401013"),
        "collection": (403, "status", "403"),
    }
    status, name, value = said[target]
    assert (answer.status, answer.body[name]) == (status, value)


async def test_a_token_that_the_platform_refuses_is_refused_in_the_words_of_the_gateway(
    caller: Caller,
) -> None:
    caller.state.inject(target="platform", kind="refuse-token")
    answer = await caller.call("GET", "/data/foundation/sandbox-management/")
    assert (answer.status, answer.body["error_code"]) == (401, "401013")


@EVERY_TARGET
async def test_a_hang_holds_the_call_until_it_is_cleared(caller: Caller, target: str) -> None:
    held_before = len(caller.state.requests)
    caller.state.inject(target=target, kind="hang")
    call = asyncio.ensure_future(CALLS[target](caller))
    await wait_until(lambda: len(caller.state.requests) > held_before, "the call")
    assert caller.state.requests[-1]["status"] is None
    caller.state.clear_faults()
    assert (await call).status == USUAL[target]


@pytest.mark.parametrize("kind", ["status", "refuse-token"])
async def test_latency_goes_before_any_kind(caller: Caller, kind: str) -> None:
    caller.state.inject(target="collection", kind=kind, latency_ms=50)
    begun = time.monotonic()
    assert (await caller.send(upsert())).status in (403, 503)
    assert time.monotonic() - begun >= 0.05


async def test_the_first_fault_that_fits_is_used_up_before_the_next(caller: Caller) -> None:
    caller.state.inject(target="collection", kind="status", status=500, times=1)
    caller.state.inject(target="collection", kind="status", status=429, times=1)
    statuses = [(await caller.send(upsert())).status for _ in range(3)]
    assert statuses == [500, 429, 200]


@pytest.mark.parametrize(
    ("headers", "meets"),
    [
        pytest.param({"x-gw-ims-org-id": "O@AdobeOrg"}, True, id="organization"),
        pytest.param({"x-gw-ims-org-id": "P@AdobeOrg"}, False, id="another organization"),
    ],
)
async def test_a_fault_of_the_look_up_is_keyed_by_organization(
    caller: Caller, headers: dict[str, str], meets: bool
) -> None:
    caller.state.inject(target="lookup", key="O@AdobeOrg", kind="status", status=500)
    answer = await caller.look_up({"x-api-key": "k"} | headers)
    assert answer.status == (500 if meets else 404)
