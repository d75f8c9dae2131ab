"""Frames that are written by ourselves are read by pamqp as what they should be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.wire.frames import (
    acknowledgement,
    content,
    encode_content_header,
)
from worker.wire.property_reader import read_properties

SHORT = st.text(max_size=60)
NUMBERS = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-3, 300))
VALUES = st.one_of(
    *(st.text(), NUMBERS, st.booleans(), st.none(), st.binary().map(bytearray)),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(st.text(min_size=1, max_size=5), st.integers(0, 9), max_size=2),
)
PROPERTIES = st.builds(
    Basic.Properties,
    content_type=st.none() | SHORT,
    content_encoding=st.none() | SHORT,
    headers=st.none() | st.dictionaries(st.text(min_size=1, max_size=60), VALUES, max_size=5),
    delivery_mode=st.none() | st.sampled_from([1, 2]),
    priority=st.none() | st.integers(0, 255),
    correlation_id=st.none() | SHORT,
    reply_to=st.none() | SHORT,
    expiration=st.none() | st.just("60000"),
    message_id=st.none() | SHORT,
    timestamp=st.none() | st.just(datetime(2026, 3, 2, tzinfo=UTC)),
    message_type=st.none() | SHORT,
    user_id=st.none() | SHORT,
    app_id=st.none() | SHORT,
)


def frames(data: bytes) -> list[tuple[int, Any]]:
    """The channel and the frame of each, as pamqp reads them."""
    read = []
    while data:
        size, channel, frame = pamqp.frame.unmarshal(data)
        read.append((channel, frame))
        data = data[size:]
    return read


@given(PROPERTIES, st.binary(max_size=50), st.integers(1, 65_535))
def test_a_message_is_read_as_it_was_written(
    properties: Basic.Properties, body: bytes, channel: int
) -> None:
    encoded = encode_content_header(properties, len(body))
    (number, header), *rest = frames(content(channel, encoded, body, 4096))
    assert isinstance(header, ContentHeader)
    assert {number, *(one for one, _ in rest)} == {channel}
    assert header.body_size == len(body)
    assert dict(header.properties) == dict(properties)
    assert dict(read_properties(encoded)) == dict(properties)
    assert b"".join(frame.value for _, frame in rest) == body


def test_a_large_body_goes_in_several_frames() -> None:
    body = bytes(range(256)) * 40
    data = content(1, encode_content_header(Basic.Properties(), len(body)), body, 4096)
    _, *rest = frames(data)
    assert [type(frame) for _, frame in rest] == [ContentBody] * 3
    assert max(len(frame.value) for _, frame in rest) == 4096 - 8
    assert b"".join(frame.value for _, frame in rest) == body


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param(Basic.Properties(message_id="x" * 256), id="a text that is too long"),
        pytest.param(
            Basic.Properties(headers={"x": cast("Any", object())}), id="a value of no kind"
        ),
        pytest.param(Basic.Properties(headers={"x": 1 << 64}), id="a number that is too large"),
    ],
)
def test_what_amqp_cant_carry_is_refused(properties: Basic.Properties) -> None:
    with pytest.raises((ValueError, TypeError)):
        encode_content_header(properties, 0)


@given(st.integers(1, (1 << 63) - 1), st.integers(1, 65_535))
def test_an_acknowledgement_is_for_one_message(tag: int, channel: int) -> None:
    ((number, ack),) = frames(acknowledgement(channel, tag))
    assert (number, type(ack), ack.delivery_tag, ack.multiple) == (channel, Basic.Ack, tag, False)


@given(PROPERTIES, st.integers(0, 200), st.binary(max_size=3))
def test_properties_that_are_cut_or_tampered_with_are_read_or_refused(
    properties: Basic.Properties, at: int, noise: bytes
) -> None:
    whole = encode_content_header(properties, 1)
    at = 14 + at % (len(whole) - 13)
    for data in (whole[:at], whole[:at] + noise + whole[at + len(noise) :]):
        assert isinstance(read_properties(data), Basic.Properties)
