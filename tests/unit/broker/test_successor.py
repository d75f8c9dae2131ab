"""The properties of a message that is published again."""

import datetime as dt
from typing import Any

import pytest
from pamqp import frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.broker.headers import own_headers_of
from worker.broker.republished import (
    MAX_PRODUCER_HEADER_BYTES,
    fitted_header,
    part_of_bundle,
    successor_of,
)
from worker.wire.frames import encode_content_header


def _original(**changes: Any) -> Basic.Properties:
    properties: dict[str, Any] = {
        "message_id": "from-the-producer",
        "headers": {"traceparent": "00-abc", "tenant": 7},
        "content_type": "application/json",
        "timestamp": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "app_id": "didomi-bridge",
    }
    return Basic.Properties(**(properties | changes))


def _headers(properties: Basic.Properties) -> dict[str, Any]:
    return dict(properties.headers or {})


def test_properties_and_application_headers_are_kept() -> None:
    successor = successor_of(_original(), {"consent-attempts": 1})
    assert successor.app_id == "didomi-bridge"
    assert successor.timestamp == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert successor.headers == {
        "traceparent": "00-abc",
        "tenant": 7,
        "consent-attempts": 1,
        "consent-contract": 2,
        "consent-producer-message-id": "from-the-producer",
    }
    assert successor.delivery_mode == 2


def test_every_publish_has_an_id_of_its_own_and_the_producers_survives_two_passes() -> None:
    first = successor_of(_original(), {"consent-attempts": 1})
    second = successor_of(first, {"consent-attempts": 2})
    assert len({first.message_id, second.message_id, "from-the-producer"}) == 3
    assert _headers(second)["consent-producer-message-id"] == "from-the-producer"
    assert _headers(second)["consent-attempts"] == 2


def test_our_own_message_id_is_not_taken_for_the_producers() -> None:
    anonymous = successor_of(_original(message_id=None), {"consent-attempts": 1})
    again = successor_of(anonymous, {"consent-attempts": 2})
    assert "consent-producer-message-id" not in _headers(again)


@pytest.mark.parametrize(
    "name",
    ["x-death", "x-first-death-queue", "x-delivery-count", "x-acquired-count", "X-Delay", "CC"],
)
def test_headers_that_would_misroute_or_lose_the_message_are_dropped(name: str) -> None:
    successor = successor_of(_original(headers={name: ["other"]}), {})
    assert name not in _headers(successor)


def test_what_could_expire_redirect_or_refuse_the_message_is_dropped() -> None:
    original = _original(expiration="10", user_id="someone", reply_to="amq.rabbitmq.reply-to.g1h2")
    successor = successor_of(original, {})
    assert successor.expiration is None
    assert successor.user_id is None
    assert successor.reply_to is None
    assert successor_of(_original(reply_to="answers"), {}).reply_to == "answers"


def test_headers_of_an_earlier_pass_do_not_linger() -> None:
    dead = _original(headers={"consent-dead-reason": "no-identity", "consent-error": "timeout"})
    assert part_of_bundle(dead, {"consent-replays": 1}).headers == {"consent-replays": 1}
    again = successor_of(dead, {"consent-replays": 1}).headers
    assert again == {"consent-replays": 1, "consent-contract": 2}


def test_headers_too_large_for_a_frame_lose_the_largest_only() -> None:
    huge = "h" * (MAX_PRODUCER_HEADER_BYTES + 1)
    successor = successor_of(_original(headers={"huge": huge, "traceparent": "00"}), {})
    assert "huge" not in _headers(successor)
    assert _headers(successor)["traceparent"] == "00"


@pytest.mark.parametrize(
    ("value", "kept"),
    [(b"\xff\xfe", bytearray(b"\xff\xfe")), (1e300, None), ({"a": b"\xff"}, None), ([1], [1])],
)
def test_headers_that_can_be_read_but_not_written_do_not_hold_the_message(
    value: object, kept: object
) -> None:
    successor = successor_of(_original(headers={"odd": value, "traceparent": "00"}), {})
    assert (successor.headers or {}).get("odd") == kept
    frame.marshal(ContentHeader(properties=successor, body_size=1), 1)


@pytest.mark.parametrize("moved", [False, True])
def test_a_producers_id_that_may_tell_of_a_person_is_kept_as_its_digest(moved: bool) -> None:
    """The second way: it stands in the header already, and the message is moved unread."""
    telling = "lena@northwind.example"
    headers: dict[str, Any] = {}
    if moved:
        headers = {"consent-producer-message-id": telling, "consent-attempts": 1}
    original = Basic.Properties(message_id=telling, headers=headers)
    own = own_headers_of(headers)
    kept = (successor_of(original, own).headers or {})["consent-producer-message-id"]
    assert str(kept).startswith("sha256-")


@pytest.mark.parametrize("most_bytes", [4096, 8192, 131_072])
def test_a_content_header_fits_into_the_frames_that_the_broker_takes(most_bytes: int) -> None:
    headers = {"small": "kept"} | {f"h{number}": "x" * 900 for number in range(60)}
    own = {"consent-attempts": 1, "consent-error-detail": "d" * 1024}
    successor = successor_of(_original(headers=headers), own)
    encoded = fitted_header(successor, 7, most_bytes)
    assert len(encoded) <= most_bytes
    kept = _headers(successor)
    assert kept["small"] == "kept"
    assert kept["consent-attempts"] == 1
    assert kept["consent-error-detail"] == "d" * 1024, "the producer's are left out before ours"
    assert encoded == encode_content_header(successor, 7)
    assert len(encoded) > most_bytes - 1000 or len(kept) == len(headers) + 4, "no more than needed"


def test_of_ours_what_is_for_people_is_left_out_before_what_the_worker_reads() -> None:
    own = {"consent-integration": "shop", "consent-error-detail": "d" * 1024}
    successor = successor_of(_original(headers={}), own)
    assert len(fitted_header(successor, 7, 500)) <= 500
    assert _headers(successor) == {
        "consent-integration": "shop",
        "consent-contract": 2,
        "consent-producer-message-id": "from-the-producer",
    }
    odd = own_headers_of({"consent-served": "s" * 1000, "consent-integration": "shop"})
    strange = successor_of(Basic.Properties(headers={}), odd)
    fitted_header(strange, 7, 500)
    assert _headers(strange)["consent-served"] is True
    assert _headers(strange)["consent-integration"] == "shop"
