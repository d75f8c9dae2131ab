"""The rules of the door: addresses, attempts, judgements, and what each event is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
import structlog

from devtools.stack import event
from worker.door.answers import PLAIN, Answer, AnswerCode
from worker.door.attempt_limits import (
    ATTEMPTS_PER_SECOND,
    BURST_ATTEMPTS,
    AttemptLimits,
)
from worker.door.client_address import ClientAddresses
from worker.door.refusal_log import RefusalLog
from worker.door.sent_events import MOST_UNCONFIRMED_BYTES, Arrival, SentEvent, SentEvents
from worker.door.webhook_judgement import judge_body
from worker.events import Envelope
from worker.serving.rarely_told import EVERY_SECONDS
from worker.wire.confirms import Outgoing
from worker.wire.property_reader import Properties


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("203.0.113.9", ["198.51.100.1"], "203.0.113.9", id="not from a proxy"),
        pytest.param("10.0.0.7", [], "10.0.0.7", id="no header"),
        pytest.param("10.0.0.7", ["198.51.100.1"], "198.51.100.1", id="one"),
        pytest.param("10.0.0.7", ["1.2.3.4, 198.51.100.1"], "198.51.100.1", id="forged ahead"),
        pytest.param("10.0.0.7", ["1.2.3.4", "198.51.100.1"], "198.51.100.1", id="two headers"),
        pytest.param("10.0.0.7", ["198.51.100.1, 10.1.2.3"], "198.51.100.1", id="two proxies"),
        pytest.param("10.0.0.7", ["10.1.2.3"], "10.1.2.3", id="proxies alone"),
        pytest.param("10.0.0.7", ["evil"], "10.0.0.7", id="no address"),
        pytest.param("10.0.0.7", ["198.51.100.1, evil, 10.1.2.3"], "10.1.2.3", id="broken chain"),
        pytest.param("::ffff:10.0.0.7", ["2001:db8::1"], "2001:db8::1", id="IPv6"),
        pytest.param("", ["198.51.100.1"], "", id="no peer"),
    ],
)
def test_only_known_proxies_are_believed(peer: str, forwarded: Sequence[str], address: str) -> None:
    assert ClientAddresses(["10.0.0.7", "10.1.0.0/16"]).of(peer, forwarded) == address


def test_an_address_may_fail_as_often_as_it_may_and_again_later() -> None:
    limits = AttemptLimits()
    assert [limits.may_fail("a", 0.0) for _ in range(BURST_ATTEMPTS)] == [True] * BURST_ATTEMPTS
    assert not limits.may_fail("a", 0.0)
    assert limits.may_fail("b", 0.0)
    wait = limits.seconds_until_next("a", 0.0)
    assert wait == pytest.approx(1 / ATTEMPTS_PER_SECOND, abs=1)
    assert not limits.may_fail("a", wait / 2)
    assert limits.may_fail("a", wait + 1)
    assert not limits.may_fail("a", wait + 1)
    assert limits.seconds_until_next("c", 0.0) == 0


def test_a_network_of_ipv6_counts_as_one_and_the_memory_is_bounded() -> None:
    limits = AttemptLimits(most_addresses=100)
    for number in range(BURST_ATTEMPTS):
        assert limits.may_fail(f"2001:db8::{number:x}", 0.0)
    assert not limits.may_fail("2001:db8::ffff", 0.0)
    assert limits.may_fail("2001:db8:0:1::1", 0.0)
    for _ in range(BURST_ATTEMPTS):
        assert limits.may_fail("::ffff:192.0.2.1", 0.0)
    assert not limits.may_fail("192.0.2.1", 0.0), "one address, however it is written"
    assert limits.may_fail("::ffff:192.0.2.2", 0.0)
    for number in range(1000):
        limits.may_fail(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(limits) == 100


def _webhook(**changes: Any) -> bytes:
    entity = event("org-shop", "lena@a.example", event_id="ev-1")
    return json.dumps(
        {"type": "event.created", "parameters": {"entity": entity}} | changes
    ).encode()


def _refused(body: bytes) -> tuple[AnswerCode, str]:
    judged = judge_body(body)
    assert isinstance(judged, Answer), judged
    return judged.code, json.loads(judged.body)["detail"]


def test_a_webhook_and_a_bare_event_are_taken() -> None:
    for body in (_webhook(), json.dumps(event("org-shop", "lena@a.example")).encode()):
        judged = judge_body(body)
        assert isinstance(judged, Envelope)
        assert judged.organization_id == "org-shop"


def test_an_event_that_is_only_odd_is_taken_and_becomes_a_dead_letter_that_is_kept() -> None:
    odd = {"entity": {"id": 7, "organization_id": "org-shop", "created_at": "yesterday"}}
    code, _ = _refused(_webhook(parameters=odd))
    assert code is AnswerCode.INVALID_EVENT
    odd["entity"]["id"] = "ev-1"
    assert isinstance(judge_body(_webhook(parameters=odd)), Envelope)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (_webhook(type="user.erased"), AnswerCode.UNKNOWN_TYPE, "Didomi's Console"),
        (_webhook(type=None), AnswerCode.UNKNOWN_TYPE, "event.created"),
        (_webhook(parameters=None), AnswerCode.INVALID_EVENT, "parameters: is required"),
        (b'{"type": "event.created", "entity__id": "ev-1"}', AnswerCode.FLATTENED, "Flatten"),
        (b"[" * 20_001 + b"]" * 20_001, AnswerCode.INVALID_EVENT, "20000 values"),
        (b"null", AnswerCode.INVALID_EVENT, "JSON object"),
        (b"", AnswerCode.INVALID_JSON, "one JSON object"),
    ],
)
def test_what_never_will_be_an_event_is_told_why(body: bytes, code: AnswerCode, said: str) -> None:
    answered, detail = _refused(body)
    assert answered is code
    assert said in detail
    assert "a.example" not in detail


def test_every_code_has_an_answer_that_fits_its_status() -> None:
    for code in AnswerCode:
        plain = PLAIN[code]
        assert json.loads(plain.body)
        assert ("Retry-After" in plain.headers) == (code.status == 503)
        assert ("WWW-Authenticate" in plain.headers) == (code.status == 401)
        assert 200 <= code.status <= 503
        assert code.sentence.endswith(".")


class Sent:
    """Events that were sent, and what they were told."""

    def __init__(self) -> None:
        self.events = SentEvents()
        self.loop = asyncio.get_running_loop()

    def send(self, ends_at: float, body: bytes = b"{}") -> tuple[Outgoing, SentEvent]:
        one = Outgoing("x", "", Properties(), body, True, lambda: None)
        arrival = Arrival("event.created", None)
        sent = SentEvent(arrival, self.loop.create_future(), ends_at, 0.0)
        self.events.add(one, sent)
        return one, sent


async def test_each_event_is_told_once_and_in_time() -> None:
    sent = Sent()
    (first, early), (second, late), (_, lost) = sent.send(5.0), sent.send(1.0), sent.send(9.0)
    sent.events.expire(2.0)
    assert [one.answered.done() for one in (early, late, lost)] == [False, True, False]
    assert late.answered.result() is AnswerCode.BROKER_LATE
    assert sent.events.take(first) is early
    sent.events.confirmed(early)
    sent.events.expire(6.0)
    assert early.answered.result() is AnswerCode.ACCEPTED, "it is on the queue, whatever else is"
    sent.events.recorded(early.answered)
    assert sent.events.take(second) is late
    sent.events.recorded(late.answered)
    assert late.answered.result() is AnswerCode.BROKER_LATE, "the first word counts"
    sent.events.lost(sent.events.unconfirmed)
    assert lost.answered.result() is AnswerCode.BROKER_AWAY
    assert (len(sent.events), sent.events.oldest_at()) == (0, {})


async def test_what_is_blocked_stays_on_its_way_and_counts_anew_afterwards() -> None:
    sent = Sent()
    one, blocked = sent.send(5.0)
    sent.events.blocked()
    assert blocked.answered.result() is AnswerCode.BROKER_BLOCKED
    assert sent.events.oldest_at() == {"": 0.0}
    sent.events.unblocked(7.0)
    assert sent.events.oldest_at() == {"": 7.0}
    assert sent.events.take(one) is blocked
    assert sent.events.take(one) is None


async def test_events_are_bounded_by_their_bytes_until_they_are_confirmed() -> None:
    sent = Sent()
    half = b"x" * (MOST_UNCONFIRMED_BYTES // 2)
    one, _ = sent.send(5.0, half)
    assert not sent.events.is_full
    sent.send(5.0, half)
    assert sent.events.is_full
    sent.events.expire(9.0)
    assert sent.events.is_full, "the connection still has them"
    sent.events.take(one)
    assert not sent.events.is_full


def test_refusals_are_logged_once_a_minute_for_each_code() -> None:
    refusals = RefusalLog()
    with structlog.testing.capture_logs() as logs:
        for second in range(3):
            refusals.tell(AnswerCode.TOO_LARGE, second)
            refusals.tell(AnswerCode.ACCEPTED, second)
        refusals.tell(AnswerCode.NOT_FOUND, 3)
        refusals.tell(AnswerCode.TOO_LARGE, EVERY_SECONDS)
    told = [(one["event"], one["answer"], one["times"]) for one in logs]
    assert told == [
        ("door.refused", "too-large", 1),
        ("door.refused", "not-found", 1),
        ("door.refused", "too-large", 3),
    ]
