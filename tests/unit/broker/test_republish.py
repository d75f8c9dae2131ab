"""The one function that builds a message which is published again."""

import datetime as dt

import aio_pika
import pytest

from worker.broker.republish import MAX_PRODUCER_HEADER_BYTES, build_successor


def _original(**changes: object) -> aio_pika.Message:
    properties: dict[str, object] = {
        "message_id": "from-the-producer",
        "headers": {"traceparent": "00-abc", "tenant": 7},
        "content_type": "application/json",
        "timestamp": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "app_id": "didomi-bridge",
    }
    return aio_pika.Message(b"\x00 body", **(properties | changes))  # type: ignore[arg-type]


def test_body_properties_and_application_headers_are_kept() -> None:
    successor = build_successor(_original(), {"consent-attempts": 1})
    assert successor.body == b"\x00 body"
    assert successor.app_id == "didomi-bridge"
    assert successor.timestamp == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert successor.headers == {
        "traceparent": "00-abc",
        "tenant": 7,
        "consent-attempts": 1,
        "consent-producer-message-id": "from-the-producer",
    }
    assert successor.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


def test_every_publish_has_an_id_of_its_own_and_the_producers_survives_two_passes() -> None:
    first = build_successor(_original(), {"consent-attempts": 1})
    second = build_successor(first, {"consent-attempts": 2})
    assert len({first.message_id, second.message_id, "from-the-producer"}) == 3
    assert second.headers["consent-producer-message-id"] == "from-the-producer"
    assert second.headers["consent-attempts"] == 2


def test_our_own_message_id_is_not_taken_for_the_producers() -> None:
    anonymous = build_successor(_original(message_id=None), {"consent-attempts": 1})
    again = build_successor(anonymous, {"consent-attempts": 2})
    assert "consent-producer-message-id" not in again.headers


@pytest.mark.parametrize(
    "name",
    ["x-death", "x-first-death-queue", "x-delivery-count", "x-acquired-count", "X-Delay", "CC"],
)
def test_headers_that_would_misroute_or_lose_the_message_are_dropped(name: str) -> None:
    successor = build_successor(_original(headers={name: ["other"]}), {})
    assert name not in successor.headers


def test_what_could_expire_redirect_or_refuse_the_message_is_dropped() -> None:
    original = _original(expiration=10, user_id="someone", reply_to="amq.rabbitmq.reply-to.g1h2")
    successor = build_successor(original, {})
    assert successor.expiration is None
    assert successor.user_id is None
    assert successor.reply_to is None
    assert build_successor(_original(reply_to="answers"), {}).reply_to == "answers"


def test_headers_of_an_earlier_pass_do_not_linger() -> None:
    dead = _original(headers={"consent-dead-reason": "no-identity", "consent-error": "timeout"})
    assert build_successor(dead, {"consent-replays": 1}).headers == {"consent-replays": 1}


def test_headers_too_large_for_a_frame_lose_the_largest_only() -> None:
    huge = "h" * (MAX_PRODUCER_HEADER_BYTES + 1)
    successor = build_successor(_original(headers={"huge": huge, "traceparent": "00"}), {})
    assert "huge" not in successor.headers
    assert successor.headers["traceparent"] == "00"
