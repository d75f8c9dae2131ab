"""Content headers of any kind are read, or said to be unreadable, within bounds."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic

from worker.broker.republished import successor_of
from worker.wire.frames import encode_content_header
from worker.wire.property_reader import (
    UnreadableProperties,
    has_headers,
    number_in_headers,
    read_properties,
)
from worker.wire.table_reader import MAX_DEPTH, MAX_VALUES

_HEADERS, _MODE, _ID = 1 << 13, 1 << 12, 1 << 7
FRAME_BYTES = 131_072


def _encoded(flags: int, properties: bytes) -> bytes:
    return struct.pack(">HHQH", 60, 0, 5, flags) + properties


def _table(*entries: tuple[bytes, bytes]) -> bytes:
    joined = b"".join(bytes((len(name),)) + name + value for name, value in entries)
    return struct.pack(">I", len(joined)) + joined


def _nested(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        value = b"F" + _table((b"a", value))
    return value


@given(st.binary(max_size=200), st.integers(0, 65_535))
def test_nothing_raises(noise: bytes, flags: int) -> None:
    for data in (noise, _encoded(flags, noise), _encoded(flags, _table((b"a", noise)) + noise)):
        assert isinstance(read_properties(data), Basic.Properties)
        has_headers(data)
        number_in_headers(data, "a")


def test_headers_that_can_be_read_are_kept_beside_one_that_cant() -> None:
    table = _table((b"before", b"t\x01"), (b"deep", _nested(900)), (b"after", b"b\x05"))
    properties = read_properties(_encoded(_HEADERS | _ID, table + b"\x02id"))
    assert isinstance(properties, UnreadableProperties)
    assert properties.headers == {"before": True, "after": 5}
    assert properties.message_id == "id"


@pytest.mark.parametrize(("depth", "is_readable"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_depth_is_bounded(depth: int, is_readable: bool) -> None:
    properties = read_properties(_encoded(_HEADERS, _table((b"a", _nested(depth)))))
    assert isinstance(properties, UnreadableProperties) is not is_readable


@pytest.mark.parametrize("extra", [0, 1])
def test_the_number_of_values_is_bounded(extra: int) -> None:
    values = b"V" * (MAX_VALUES - 1 + extra)
    listed = _table((b"a", b"A" + struct.pack(">I", len(values)) + values))
    properties = read_properties(_encoded(_HEADERS, listed))
    assert isinstance(properties, UnreadableProperties) is bool(extra)


def test_a_frame_full_of_headers_costs_little() -> None:
    entries = [(b"h" + str(number).encode(), b"V") for number in range(14_000)]
    data = _encoded(_HEADERS, _table(*entries))
    began = time.process_time()
    properties = read_properties(data)
    successor_of(properties, {})
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
def test_what_is_published_again_fits_into_a_frame_whatever_came(character: str) -> None:
    text = character * (120_000 // len(character.encode()))
    for name in ("of-the-producer", "consent-producer-message-id"):
        again = successor_of(Basic.Properties(headers={name: text}), {"consent-attempts": 1})
        assert len(encode_content_header(again, 1)) < FRAME_BYTES * 3 // 4


def test_small_numbers_do_not_grow_beyond_a_frame() -> None:
    data = _encoded(_HEADERS, _table(*((b"%04d" % n, b"b\x01") for n in range(MAX_VALUES))))
    again = successor_of(read_properties(data), {})
    assert len(encode_content_header(again, 1)) < FRAME_BYTES * 3 // 4


@pytest.mark.parametrize("values", [MAX_VALUES - 2, MAX_VALUES - 70])
def test_what_can_just_be_read_can_still_be_when_it_comes_back(values: int) -> None:
    """With headers of ours beside the producer's."""
    came = Basic.Properties(headers={"tags": ["x"] * values, "traceparent": "00-1"})
    assert not isinstance(read_properties(encode_content_header(came, 1)), UnreadableProperties)
    own = {f"consent-{number}": number for number in range(20)}
    again = read_properties(encode_content_header(successor_of(came, own), 1))
    assert not isinstance(again, UnreadableProperties)
    assert own.items() <= (again.headers or {}).items()
    assert (again.headers or {})["traceparent"] == "00-1"


OFFSET = (b"x-stream-offset", b"l" + struct.pack(">q", 7))


@pytest.mark.parametrize("flags", [_HEADERS, _HEADERS | 1 << 15 | 1 << 14])
def test_a_number_of_the_broker_is_found_among_whatever_headers(flags: int) -> None:
    many = [(b"h" + struct.pack(">H", number), b"V") for number in range(10_000)]
    deep = (b"deep", _nested(900))
    told = (b"x-stream-offset", b"S" + struct.pack(">I", 5) + b"first")
    texts = b"".join(b"\x04text" for flag in (1 << 15, 1 << 14) if flags & flag)
    table = _table(*many, deep, told, (b"t", b"T" + b"\x7f" + b"\xff" * 7), OFFSET)
    whole = _encoded(flags, texts + table)
    assert number_in_headers(whole, "x-stream-offset") == 7
    assert number_in_headers(whole, "x-other") is None
    assert number_in_headers(_encoded(0, b""), "x-stream-offset") is None
    small = _encoded(flags, texts + _table(deep, OFFSET))
    assert all(
        number_in_headers(small[:end], "x-stream-offset") is None for end in range(len(small))
    )
