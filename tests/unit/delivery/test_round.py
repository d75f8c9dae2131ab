"""One round: who is asked for, what a refusal takes apart, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.unit.delivery.parts import Hand, Store, event
from tests.unit.delivery.virtual_time import in_virtual_time
from tests.unit.examples import integration
from worker.adobe.replies import Accepted, NoProfile, Permanent, Reply, Retryable
from worker.adobe.streaming import MAX_REQUEST_BYTES, OutgoingMessage
from worker.delivery.delivery import Delivery
from worker.delivery.rounds.request_slots import RequestSlots
from worker.delivery.rounds.round_results import Result, Superseded
from worker.delivery.rounds.round_runner import AdobeRounds
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.model import Integration
from worker.reasons import ErrorCode
from worker.transform.decision_types import Identity

OK = Accepted("x")
REFUSED = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400)
SET_UP = Permanent(ErrorCode.ADOBE_REJECTED, "HTTP 400", 400, fault="set-up")
MAPPINGS = [
    {"id": f"_acme.{one}", "value": f"consents_purposes_{one}_enabled"}
    for one in ("news", "offers")
]
SHOP = integration(mappings=MAPPINGS)

Said = dict[str, Any]


class Adobe:
    """Refuses a request in which `is_bad` finds something; keeps what each request said."""

    def __init__(self, is_bad: Any = lambda _: False, refusal: Permanent = REFUSED) -> None:
        self._is_bad = is_bad
        self._refusal = refusal
        self.requests: list[list[Said]] = []
        self.looked_up: list[str] = []
        self.known: set[str] = set()

    async def look_up(self, _: Integration, identity: Identity) -> Reply | None:
        self.looked_up.append(identity.value)
        return None if identity.value in self.known else NoProfile()

    async def look_up_record(
        self, _: Integration, identity: Identity, paths: Sequence[str]
    ) -> Mapping[str, Any] | Reply:
        raise AssertionError("no record is completed here")

    async def send(
        self, _: Integration, messages: Sequence[OutgoingMessage]
    ) -> list[Accepted | Retryable | Permanent] | Retryable | Permanent:
        said = [
            dict(one.record["_acme"]) | {"who": one.record["personalEmail"]["address"]}
            for one in messages
        ]
        self.requests.append(said)
        return self._refusal if any(self._is_bad(one) for one in said) else [OK] * len(messages)

    @property
    def sizes(self) -> list[int]:
        return [len(one) for one in self.requests]


class Bench:
    def __init__(self, adobe: Adobe, target: Integration = SHOP) -> None:
        self.hand = Hand()
        self.target = target
        self._runner = AdobeRounds(adobe, StoreGate(Store()), 30, 120)

    def event(self, user: str, minute: int = 0, **purposes: Any) -> Delivery:
        return event(self.hand, self.target, user, minute=minute, **purposes)

    async def deliver(self, *groups: list[Delivery]) -> dict[Delivery, Result]:
        return dict(await self._runner.deliver(self.target, list(groups), RequestSlots(8)))


def _is_of(user: str) -> Any:
    return lambda said: said["who"].startswith(user)


@in_virtual_time
async def test_a_batch_that_is_refused_as_a_whole_is_halved_until_the_bad_one_is_alone() -> None:
    adobe = Adobe(_is_of("u2"))
    bench = Bench(adobe)
    events = [bench.event(f"u{number}") for number in range(8)]
    results = await bench.deliver(*([one] for one in events))
    assert adobe.sizes == [8, 4, 2, 2, 1, 1, 4]
    assert [results[one] for one in events] == [OK, OK, REFUSED, OK, OK, OK, OK, OK]


@in_virtual_time
async def test_a_refusal_of_the_set_up_is_no_reason_to_halve() -> None:
    adobe = Adobe(_is_of("u2"), SET_UP)
    bench = Bench(adobe)
    events = [bench.event(f"u{number}") for number in range(8)]
    results = await bench.deliver(*([one] for one in events))
    assert adobe.sizes == [8]
    assert set(results.values()) == {SET_UP}


@in_virtual_time
async def test_what_is_too_large_for_one_request_is_halved_unsent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.delivery.rounds.request_round.MAX_REQUEST_BYTES", 1_000)
    assert MAX_REQUEST_BYTES > 1_000
    adobe = Adobe()
    bench = Bench(adobe)
    results = await bench.deliver(*([bench.event(f"u{number}")] for number in range(8)))
    assert sum(adobe.sizes) == 8
    assert max(adobe.sizes) < 8
    assert set(results.values()) == {OK}


@in_virtual_time
async def test_choices_of_one_person_that_are_too_large_together_go_one_by_one() -> None:
    adobe = Adobe()
    texts = [{"id": f"_acme.t{i}", "value": f"metadata_t{i}"} for i in range(3)]
    bench = Bench(adobe, integration(mappings=[*MAPPINGS, *texts]))
    events = []
    for minute in range(3):
        one = bench.event("lena", minute=minute)
        one.choice = one.choice._replace(attributes={f"_acme.t{minute}": "x" * 500_000})
        events.append(one)
    assert await bench.deliver(events) == dict.fromkeys(events, OK)
    assert adobe.sizes == [1, 1, 1]


@in_virtual_time
async def test_a_refused_message_of_several_events_is_taken_apart_the_newest_first() -> None:
    adobe = Adobe(lambda said: said.get("news") is True)
    bench = Bench(adobe)
    oldest = bench.event("lena", minute=1, offers=True)
    bad = bench.event("lena", minute=2, news=True)
    newest = bench.event("lena", minute=3, offers=False)
    results = await bench.deliver([oldest, bad, newest])
    said = [{key: one[key] for key in one if key != "who"} for [one] in adobe.requests]
    assert said == [{"news": True, "offers": False}, {"offers": False}, {"news": True}]
    assert results == {newest: OK, bad: REFUSED, oldest: Superseded()}


@in_virtual_time
async def test_an_event_that_is_refused_by_itself_is_not_sent_again() -> None:
    adobe = Adobe(_is_of("lena"))
    bench = Bench(adobe)
    one = bench.event("lena")
    assert await bench.deliver([one]) == {one: REFUSED}
    assert adobe.sizes == [1]


@in_virtual_time
async def test_the_look_up_is_asked_and_who_is_not_known_gets_nothing() -> None:
    target = integration(
        mappings=MAPPINGS,
        upsert_mode=False,
        identities={"email": {"namespace": "Email"}},
    )
    adobe = Adobe()
    adobe.known = {"lena@northwind.example"}
    bench = Bench(adobe, target)
    lena, omar = bench.event("lena"), bench.event("omar")
    results = await bench.deliver([lena], [omar])
    assert sorted(adobe.looked_up) == ["lena@northwind.example", "omar@northwind.example"]
    assert results == {lena: OK, omar: NoProfile()}
    assert [[one["who"] for one in request] for request in adobe.requests] == [
        ["lena@northwind.example"]
    ]
