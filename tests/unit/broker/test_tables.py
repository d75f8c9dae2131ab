"""Header tables of anybody: read as pamqp reads them, and never deeper than there is a stack."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import encode
from pamqp.header import ContentHeader

from worker.broker.tables import MAX_DEPTH, read_table
from worker.broker.unreadable import (
    UnreadableProperties,
    accept_unreadable_properties,
    read_properties,
)

LEAVES = (
    st.text()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.booleans()
    | st.none()
    | st.binary().map(bytearray)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
    ),
)


def nested(depth: int, kind: bytes = b"F") -> bytes:
    """A table that many deep."""
    inner = b""
    for _ in range(depth):
        entry = b"\x01a" + kind + struct.pack(">I", len(inner)) + inner
        inner = entry if kind == b"F" else kind + struct.pack(">I", len(inner)) + inner
    if kind == b"A":
        inner = b"\x01a" + inner
    return struct.pack(">I", len(inner)) + inner


def content_header(table: bytes) -> bytes:
    return struct.pack(">HHQH", 60, 0, 5, 1 << 13) + table


@given(st.dictionaries(st.text(min_size=1, max_size=20), VALUES, max_size=5))
def test_a_table_is_read_as_it_was_written(table: dict[str, Any]) -> None:
    data = encode.field_table(table)
    assert read_table(b"xx" + data, 2) == (table, 2 + len(data))


@pytest.mark.parametrize("kind", [b"F", b"A"])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 20_000])
def test_a_table_nested_too_deep_concerns_its_own_message(depth: int, kind: bytes) -> None:
    header = content_header(nested(depth, kind))
    began = time.process_time()
    assert isinstance(read_properties(header), UnreadableProperties)
    accept_unreadable_properties()
    unmarshalled = ContentHeader()
    unmarshalled.unmarshal(header)
    assert isinstance(unmarshalled.properties, UnreadableProperties)
    assert unmarshalled.body_size == 5
    assert time.process_time() - began < 1


def test_a_table_that_somebody_may_need_is_read() -> None:
    table, _ = read_table(nested(MAX_DEPTH - 1), 0)
    assert list(table) == ["a"]


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_reading_properties_ends_and_raises_nothing(data: bytes) -> None:
    read_properties(data)
    read_properties(content_header(data))


@given(st.binary(max_size=100))
def test_a_table_of_any_bytes_is_a_table_or_an_error_of_its_own(data: bytes) -> None:
    try:
        _, end = read_table(data, 0)
    except (ValueError, OverflowError, OSError, IndexError, struct.error):
        return
    assert end <= len(data)
