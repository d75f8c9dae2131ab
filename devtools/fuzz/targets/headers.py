"""What a message says beside its body. What is read can be published again, in a frame."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any, Final

from pamqp.commands import Basic

from devtools.fuzz import amqp
from devtools.fuzz.target import Target
from devtools.fuzz.targets.events import NOW_MS
from devtools.fuzz.values import PERSON, anything, assert_hidden, below, pick, text
from worker.broker.dead_letter import describe
from worker.broker.headers import integration_id_in, lateness_seconds, own_headers_of
from worker.broker.republished import successor_of
from worker.broker.retry_state import (
    InvalidHeaders,
    RetryState,
    read_retry_state,
    write_retry_state,
)
from worker.wire.frames import encode_content_header
from worker.wire.property_reader import (
    UnreadableProperties,
    has_headers,
    read_properties,
)

_FRAME_BYTES: Final = 131_072
"""RabbitMQ's default of frame_max."""


def make_retry_headers(r: Random) -> dict[str, Any]:
    """Headers as they are once they are read."""
    headers: dict[str, Any] = {}
    if r.random() < 0.7:
        headers |= {
            "consent-integration": "shop",
            "consent-attempts": 1 + below(r, 5),
            "consent-first-attempt-at": NOW_MS - below(r, 400_000),
            "consent-elapsed": below(r, 400_000),
        }
    for _ in range(below(r, 4)):
        name = amqp.name_of_header(r)
        headers[name] = amqp.own_value(r, name) if r.random() < 0.8 else _plain(anything(r, 2))
    return headers


def _plain(value: Any) -> Any:
    """A value that is a literal."""
    return str(value) if isinstance(value, float | str) else value


def check_retry_headers(headers: dict[str, Any]) -> None:
    """A retry state is the same once it is written and read again."""
    state = _state(headers)
    if state is not None:
        # An attempt that was handed over counts as one with its headers.
        written = write_retry_state(state)
        again = read_retry_state(written, NOW_MS)
        assert write_retry_state(again) == written, "a state is another one after a retry"
        assert state.elapsed_seconds(NOW_MS) >= 0
    late = lateness_seconds(headers, NOW_MS)
    assert late is None or late >= 0
    integration_id = integration_id_in(headers)
    assert_hidden(integration_id or "")
    own_headers_of(headers)


def _state(headers: dict[str, Any]) -> RetryState | None:
    try:
        return read_retry_state(headers, NOW_MS)
    except InvalidHeaders as error:
        assert_hidden(str(error))
        return None


def check_properties(content_header: bytes) -> None:
    """Properties of any kind are read, and fit into a frame when they are published again."""
    properties = read_properties(content_header)
    assert isinstance(properties, Basic.Properties)
    has_headers(content_header)
    headers = dict(properties.headers or {})
    state = _state(headers)
    own = own_headers_of(headers) if state is None else write_retry_state(state)
    own["consent-replays"] = 1  # whatever is published again has a header of ours
    again = successor_of(properties, own)
    assert again.expiration is None
    encoded = encode_content_header(again, 5)
    assert len(encoded) < _FRAME_BYTES * 3 // 4, "larger than a frame"
    back = read_properties(encoded)
    assert not isinstance(back, UnreadableProperties), "what we write can't be read"
    assert back.message_id == again.message_id
    twice = successor_of(back, own)
    assert (twice.headers or {}).keys() == (again.headers or {}).keys(), "a header gets lost"
    kept = "consent-producer-message-id"
    assert (twice.headers or {}).get(kept) == (again.headers or {}).get(kept), "an id changes"
    letter = SimpleNamespace(headers=headers, message_id=properties.message_id, body=b"x")
    told = describe(letter)
    assert_hidden(told.id)


def make_ids(r: Random) -> str:
    """A producer's id of a message."""
    return pick(r, (text(r, 300), PERSON, r.randbytes(16).hex(), f"order-{below(r, 10**12)}"))


TARGETS: Final = (
    Target("retry-headers", make_retry_headers, check_retry_headers, share=40),
    Target("properties", amqp.content_header, check_properties, share=15),
)
