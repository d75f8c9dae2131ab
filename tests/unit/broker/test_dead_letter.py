"""What the headers of a dead letter say, and which ones a filter means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import aio_pika
import orjson
import pytest
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.unit.examples import event_document
from worker.broker.dead_letter import DeadLetter, describe
from worker.broker.letter_filter import Filter
from worker.broker.republished import new_message_id
from worker.broker.retry_state import InvalidHeaders, read_retry_state
from worker.cli.letter_listing import told_fields
from worker.delivery.bundles.bundle_format import pack
from worker.letters.letter_events import open_letter

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def _letter(**headers: Any) -> DeadLetter:
    message: Any = aio_pika.Message(b"12345", message_id="a", headers=headers)
    return describe(message)


def test_a_letter_is_described_by_its_headers() -> None:
    letter = _letter(
        **{
            "consent-dead-reason": "retries-exhausted",
            "consent-integration": "shop",
            "consent-error": "timeout",
            "consent-http-status": 503,
            "consent-attempts": 6,
            "consent-dead-at": NOW_MS,
            "consent-replays": 2,
        }
    )
    assert (letter.id, letter.reason, letter.integration) == ("a", "retries-exhausted", "shop")
    assert (letter.error, letter.http_status, letter.attempts) == ("timeout", 503, 6)
    assert (letter.dead_at_ms, letter.replays, letter.body_bytes) == (NOW_MS, 2, 5)


@pytest.mark.parametrize(
    ("broker_says", "reason"),
    [("delivery_limit", "poison"), ("rejected", "unexpected-error"), (None, "unroutable")],
)
def test_a_letter_that_the_broker_made_has_a_reason_too(
    broker_says: str | None, reason: str
) -> None:
    deaths = [{"reason": broker_says, "queue": "consent.retries", "count": 1}]
    earlier = [{"reason": "expired", "queue": "consent.delay.4s", "count": 1}]
    headers = {"x-first-death-reason": "expired", "x-death": deaths + earlier}
    assert _letter(**(headers if broker_says else {})).reason == reason


def test_a_letter_that_the_broker_made_is_as_old_as_the_broker_says() -> None:
    made = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    deaths = [{"reason": "rejected", "time": made}, {"reason": "expired", "time": "then"}]
    forged = {"consent-dead-at": NOW_MS - HOUR_MS}
    assert _letter(**{"x-death": deaths, **forged}).dead_at_ms == NOW_MS
    for time in (None, 5, datetime(1900, 1, 1, tzinfo=UTC)):
        found = _letter(**{"x-death": [{"reason": "rejected", "time": time}]})
        assert found.dead_at_ms is None


@pytest.mark.parametrize("deaths", ["delivery_limit", [], [{}], ["delivery_limit"], {"reason": 1}])
def test_a_tampered_history_tells_nothing(deaths: object) -> None:
    assert _letter(**{"x-death": deaths}).reason == "unroutable"


@pytest.mark.parametrize("value", [True, "6", 1.5, None, [1]])
def test_a_tampered_header_is_left_out(value: object) -> None:
    letter = _letter(**{"consent-attempts": value, "consent-error": 5})
    assert (letter.attempts, letter.error) == (0, None)


@pytest.mark.parametrize(
    ("chosen", "is_meant"),
    [
        (Filter(), True),
        (Filter(id="a"), True),
        (Filter(id="b"), False),
        (Filter(integration="shop"), True),
        (Filter(integration="press"), False),
        (Filter(integration="none"), False),
        (Filter(reason="timeout"), False),
        (Filter(until_ms=NOW_MS - HOUR_MS), True),
        (Filter(until_ms=NOW_MS - 3 * HOUR_MS), False),
        (Filter(since_ms=NOW_MS - 3 * HOUR_MS), True),
        (Filter(since_ms=NOW_MS - HOUR_MS), False),
        (Filter(integration="shop", reason="poison", until_ms=NOW_MS - HOUR_MS), True),
    ],
)
def test_a_filter_means_what_it_says(chosen: Filter, is_meant: bool) -> None:
    letter = _letter(
        **{
            "consent-dead-reason": "poison",
            "consent-integration": "shop",
            "consent-dead-at": NOW_MS - 2 * HOUR_MS,
        }
    )
    assert chosen.matches(letter) is is_meant


def test_a_letter_of_unknown_age_is_never_meant_by_age() -> None:
    assert not Filter(until_ms=NOW_MS).matches(_letter())
    assert not Filter(since_ms=NOW_MS - HOUR_MS).matches(_letter())


@pytest.mark.parametrize("value", [(1 << 63) - 1, -1, 10_001, True, 1.5, "7", [7], None, {"a": 1}])
@pytest.mark.parametrize("name", ["consent-replays", "consent-attempts", "consent-bundle"])
def test_a_number_that_no_worker_writes_counts_as_not_there(name: str, value: object) -> None:
    letter = _letter(**{name: value})
    assert (letter.replays, letter.attempts, letter.detail) == (0, 0, None)


@pytest.mark.parametrize("value", ["x" * 5_000, 7, b"raw", None, [], ""])
def test_a_text_that_no_worker_writes_counts_as_not_there(value: object) -> None:
    names = ("consent-integration", "consent-dead-reason", "consent-error", "consent-error-detail")
    letter = _letter(**dict.fromkeys(names, value))
    assert letter.integration is None
    assert Filter(integration="none").matches(letter)
    assert letter.reason == "unroutable"
    assert not letter.error
    assert not letter.detail


def test_the_brokers_reason_goes_before_one_that_a_producer_forged() -> None:
    message: Any = aio_pika.Message(
        b"x" * (1 << 20) + b"y",
        headers={
            "consent-dead-reason": "adobe-rejected",
            "x-death": [{"reason": "rejected", "queue": "consent.events", "count": 1}],
        },
    )
    assert describe(message).reason == "too-large"


def test_letters_without_an_id_are_told_apart() -> None:
    messages: list[Any] = [aio_pika.Message(body) for body in (b"1", b"2")]
    one, other = map(describe, messages)
    assert one.id.startswith("nameless-")
    assert one.id != other.id


@pytest.mark.parametrize("telling", ["lena@b.example", "491705550161", "lena_lindqvist", "a b"])
def test_an_id_that_may_tell_of_a_person_is_not_told(telling: str) -> None:
    message: Any = aio_pika.Message(b"1", message_id=telling, headers={})
    assert describe(message).id.startswith("nameless-")


def test_a_message_with_the_id_of_its_person_is_called_by_its_body() -> None:
    def called(message_id: str) -> str:
        body = orjson.dumps(event_document(user={"organization_user_id": "usr-778"}))
        message: Any = aio_pika.Message(body, message_id=message_id, headers={})
        return describe(message).id

    assert called("USR-778").startswith("nameless-")
    assert called("usr-779") == "usr-779"


@pytest.mark.parametrize(
    ("message_id", "is_told"),
    [
        pytest.param(new_message_id(), True, id="a worker's"),
        ("from-a-producer", False),
        (None, False),
        ("lena", False),
    ],
)
def test_a_detail_is_told_of_what_a_worker_wrote(message_id: str | None, is_told: bool) -> None:
    headers: Any = {"consent-error-detail": "HTTP 400"}
    message: Any = aio_pika.Message(b"1", message_id=message_id, headers=headers)
    assert describe(message).detail == ("HTTP 400" if is_told else None)


def test_a_detail_in_which_something_private_was_forged_is_masked_and_bounded() -> None:
    def detail(said: str) -> str | None:
        headers: Any = {"consent-error-detail": said}
        message: Any = aio_pika.Message(b"1", message_id=new_message_id(), headers=headers)
        return describe(message).detail

    assert detail("of lena@b.example, Bearer abc.def") == "of <email>, Bearer <token>"
    assert detail("x " * 512) == "x " * 512
    assert detail("x " * 512 + "y") is None


@pytest.mark.parametrize("forged", ["lena@b.example", "Lena Lindqvist", "", "x" * 129, "a\n"])
def test_an_integration_that_is_none_by_its_shape_is_not_told(forged: str) -> None:
    assert _letter(**{"consent-integration": forged}).integration is None
    with pytest.raises(InvalidHeaders):
        read_retry_state({"consent-integration": forged}, NOW_MS)


def test_a_letter_that_fitted_no_binding_has_the_time_at_which_it_was_to_come_back() -> None:
    letter = _letter(**{"consent-due-at": NOW_MS})
    assert (letter.reason, letter.dead_at_ms) == ("unroutable", NOW_MS)
    later = {"consent-due-at": NOW_MS - 5, "consent-dead-at": NOW_MS}
    assert _letter(**later).dead_at_ms == NOW_MS
    assert _letter(**{"consent-due-at": "soon"}).dead_at_ms is None


@pytest.mark.parametrize(("value", "is_told"), [(1, True), (None, False), (2, False), ("1", False)])
def test_a_letter_that_sends_a_choice_again_is_told_as_a_repeat(value: Any, is_told: bool) -> None:
    letter = _letter(**({} if value is None else {"consent-repeat": value}))
    assert told_fields(letter, NOW_MS)["repeat"] is is_told


def test_an_event_of_a_bundle_is_told_as_a_repeat_by_its_own_headers() -> None:
    def packed(**headers: Any) -> tuple[bytes, bytes]:
        return ContentHeader(0, 2, Basic.Properties(headers=headers)).marshal(), b"{}"

    body = pack([packed(), packed(**{"consent-repeat": 1})])
    bundle: Any = aio_pika.Message(body, headers={"consent-bundle": 2})
    events = open_letter(bundle, lambda event: True).chosen
    assert [event.letter.repeat for event in events] == [False, True]
