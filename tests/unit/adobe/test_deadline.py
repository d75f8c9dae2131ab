"""No request is written whose time is over, whatever timers there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import aiohttp
import pytest
from aiohttp import web

from devtools.examples import integration_document
from tests.unit.adobe.server import serving
from tests.unit.delivery.parts import Hand, event
from tests.unit.examples import integration
from worker.adobe.access_tokens import TokenSource
from worker.adobe.attempt import AdobeClient
from worker.adobe.attempt_deadline import Deadline, is_too_late, until
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import ExchangeFailed, exchange, open_session
from worker.adobe.replies import Accepted
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Untried
from worker.delivery.rounds.round_runner import AdobeRounds
from worker.delivery.rounds.store_gate import StoreGate
from worker.ordering.memory_store import MemoryStore
from worker.ordering.store_protocol import Claim, Contended, Granted, Timing

LOCAL = EndpointPolicy(("127.0.0.1",), True)
ATTEMPT_SECONDS = 0.5


class _Server:
    """Stands for Adobe, where each request is granted; keeps those that came."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        await request.read()
        if request.method == "GET":
            return web.json_response({"xid": {"entity": {"known": True}}})
        return web.json_response({"xactionId": "x", "access_token": "t", "expires_in": 3600})


def _clock(*seconds: float) -> Callable[[], float]:
    """Says one after the other, and the last for ever."""
    left = list(seconds)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_it_is_too_late_from_the_very_moment_on() -> None:
    assert not is_too_late(), "who has no deadline is never late"
    for now, expected in ((0.0, False), (9.999, False), (10.0, True), (99.0, True)):
        with until(Deadline(10, _clock(now))):
            assert is_too_late() is expected
    assert not is_too_late()


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", None), ("POST", b"x"), ("POST", b"x" * 300_000), ("POST", None)],
    ids=["without a body", "small", "larger than a socket's buffer", "an empty body"],
)
async def test_nothing_is_written_on_a_kept_alive_line_when_time_is_over(
    method: str, body: bytes | None
) -> None:
    server = _Server()
    async with serving(server) as url, open_session(LOCAL, 5) as session:
        await exchange(session, method, url, data=body)
        with until(Deadline(10, _clock(10))), pytest.raises(ExchangeFailed) as failed:
            await exchange(session, method, f"{url}/late", data=body)
        assert failed.value.error == "timeout"
        await exchange(session, method, f"{url}/after", data=body)
    assert server.asked == ["/", "/after"]


async def test_nothing_is_written_when_time_ends_between_the_head_and_the_body() -> None:
    server = _Server()
    async with serving(server) as url, open_session(LOCAL, 5) as session:
        await exchange(session, "POST", url, data=b"x")
        with until(Deadline(10, _clock(9, 10))), pytest.raises(ExchangeFailed) as failed:
            await exchange(session, "POST", f"{url}/late", data=b"x")
        assert failed.value.error == "timeout"
        await exchange(session, "POST", f"{url}/after", data=b"x")
    assert server.asked == ["/", "/after"]


async def test_nothing_is_written_when_time_ends_while_a_line_is_opened() -> None:
    server = _Server()

    async def opened(*_: object) -> None:
        clock[0] = 10

    clock = [0.0]
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(opened)
    async with serving(server) as url, open_session(LOCAL, 5) as session:
        tracing.freeze()
        session.trace_configs.append(tracing)
        with until(Deadline(10, lambda: clock[0])), pytest.raises(ExchangeFailed):
            await exchange(session, "POST", f"{url}/late", data=b"x")
    assert clock == [10]
    assert server.asked == []


async def test_a_token_is_not_late_because_the_first_who_asked_was() -> None:
    server = _Server()
    authentication = integration().authentication
    async with serving(server) as url, open_session(LOCAL, 5) as session:
        source = TokenSource(session, f"{url}/token", authentication)
        with until(Deadline(10, _clock(10))):
            assert (await source.token()).value == "t"


class _SlowStore(MemoryStore):
    """Its next answer is read only after the process was stopped for `stop_seconds`."""

    stop_seconds = 0.0

    async def begin(self, state_id: str, claims: Sequence[Claim]) -> list[Granted | Contended]:
        answers = await super().begin(state_id, claims)
        time.sleep(self.stop_seconds)  # noqa: ASYNC251 - the loop stands still, as when stopped
        return answers


@pytest.mark.parametrize("upserts", [True, False], ids=["delivery", "look-up"])
async def test_a_woken_worker_sends_nothing_of_an_attempt_that_is_over(upserts: bool) -> None:
    """It was stopped while the store answered: another worker may have the lease by now."""
    server = _Server()
    async with serving(server) as url, open_session(LOCAL, 5) as session:
        properties = integration_document()["properties"] | {
            "dataflow_endpoint": f"{url}/collection/1"
        }
        shop = integration(
            properties=properties,
            upsert_mode=upserts,
            limits={"profile_gap_seconds": 0},
        )
        client = AdobeClient(session, LOCAL, ims_url=f"{url}/token", platform_url=url)
        store = _SlowStore(Timing())
        runner = AdobeRounds(client, StoreGate(store), ATTEMPT_SECONDS, 120)
        hand, slots = Hand(), RequestSlots(8)
        [(_, result)] = await runner.deliver(shop, [[event(hand, shop, "lena")]], slots)
        assert isinstance(result, Accepted)
        asked_in_time = len(server.asked)
        assert asked_in_time, "there is a kept-alive line now"
        store.stop_seconds = ATTEMPT_SECONDS * 1.2
        [(_, result)] = await runner.deliver(shop, [[event(hand, shop, "ole", minute=1)]], slots)
        assert isinstance(result, Untried), "which is no attempt"
        assert len(server.asked) == asked_in_time
        store.stop_seconds = 0
        [(_, result)] = await runner.deliver(shop, [[event(hand, shop, "ole", minute=2)]], slots)
        assert isinstance(result, Accepted)
