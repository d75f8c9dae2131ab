"""Several events in one body, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic

from worker.delivery.bundles.bundle_format import NotABundle, pack, unpack
from worker.wire.frames import encode_content_header


def event(body: bytes) -> tuple[bytes, bytes]:
    return encode_content_header(Basic.Properties(headers={"a": "b"}), len(body)), body


@given(st.lists(st.binary(max_size=300).map(event), min_size=1, max_size=30))
def test_what_is_packed_is_unpacked(events: list[tuple[bytes, bytes]]) -> None:
    assert unpack(pack(events)) == events


@given(st.binary(max_size=80))
def test_anything_else_is_refused_or_is_a_bundle(data: bytes) -> None:
    try:
        events = unpack(data)
    except NotABundle:
        return
    assert pack(events) == data


@given(st.integers(0, 80))
def test_a_bundle_that_was_cut_is_refused(size: int) -> None:
    whole = pack([event(b"one"), event(b"another")])
    cut = whole[: size % len(whole)]
    first = len(pack([event(b"one")]))
    if len(cut) == first:
        assert unpack(cut) == [event(b"one")]
    else:
        with pytest.raises(NotABundle):
            unpack(cut)
