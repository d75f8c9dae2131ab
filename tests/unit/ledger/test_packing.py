"""What is packed comes back without a difference."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from worker.ledger.packing import (
    after,
    event_prefix,
    life_key,
    pack_attributes,
    pack_event,
    pack_user,
    unpack_attributes,
    unpack_event,
    unpack_user,
)

_HEX = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("event", "size"),
    [
        ("01234567-89ab-cdef-0123-456789abcdef", 17),
        ("01234567-89AB-CDEF-0123-456789ABCDEF", 37),
        (_HEX, 17),
        (f"body:{_HEX}", 17),
        ("ev-1", 5),
        ("", 1),
    ],
)
def test_an_event_takes_what_its_shape_allows(event: str, size: int) -> None:
    packed = pack_event(event)
    assert (unpack_event(packed), len(packed)) == (event, size)


@given(st.text(max_size=60))
def test_any_event_comes_back(event: str) -> None:
    assert unpack_event(pack_event(event)) == event


@given(st.dictionaries(st.text(max_size=9), st.sampled_from([True, False, None]), max_size=9))
def test_attributes_come_back_in_their_order(attributes: dict[str, bool | None]) -> None:
    back = unpack_attributes(*pack_attributes(attributes))
    assert list(back.items()) == list(attributes.items())


@pytest.mark.parametrize("user", ["202611", "202611:abc", f"20261:{_HEX}", f"x02611:{_HEX}", ""])
def test_what_is_no_hash_of_a_user_is_nobody(user: str) -> None:
    assert pack_user(user) is None


def test_a_user_comes_back() -> None:
    assert unpack_user(pack_user(f"202611:{_HEX}")) == f"202611:{_HEX}"
    assert unpack_user(pack_user(None)) is None


def test_the_lives_of_an_event_lie_together_and_are_many() -> None:
    event = pack_event("ev-1")
    keys = {
        life_key(event, updated_at, integration, delivery)
        for updated_at in (None, 0, 1)
        for integration in ("", "shop", "shop 1")
        for delivery in (0, 1)
    }
    assert len(keys) == 18
    prefix = event_prefix(event)
    assert all(prefix <= key < after(prefix) for key in keys)
    assert not prefix <= life_key(pack_event("ev-2"), None, "shop", 0) < after(prefix)


def test_the_last_prefix_has_an_end() -> None:
    last = b"\xff" * 8
    assert last + b"\xff" * 8 < after(last)
