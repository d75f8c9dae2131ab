"""What is kept beside a stamp: it comes back as it was, for its own user, path and stamp alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ordering.sealed_values import LONGEST_TEXT_BYTES, Seals
from worker.ordering.stamp import Said, Stamp, is_path, newest_of

DIGEST, OTHER = "A" * 22, "B" * 22
STAMP = Stamp(1_800_000_000_000, 0, True, "e1")
SOURCE = ["consents_purposes_news_enabled", True, False]
SEALS = Seals(b"secret")

words = st.text(st.characters(codec="utf-8"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
any_source = st.none() | st.tuples(st.none() | words, json_values, st.booleans()).map(list)
any_said = st.builds(
    Said, st.sampled_from(["", OTHER]), st.booleans(), any_source, st.just(value=False)
)
any_stamp = st.builds(
    Stamp, st.integers(0, 10**15), st.integers(-1, 10**15), st.booleans(), st.text()
)


def kept(said: Said, seals: Seals = SEALS) -> str:
    return seals.texts(DIGEST, {"news": STAMP}, {"news": said})["news"]


def read(
    text: str, seals: Seals = SEALS, user: str = DIGEST, path: str = "news", stamp: Stamp = STAMP
) -> Any:
    return seals.said(user, {path: stamp}, {path: text}).get(path)


@given(any_said, any_stamp, st.sampled_from([b"", b"secret"]))
def test_it_comes_back_as_it_was(said: Said, stamp: Stamp, secret: bytes) -> None:
    seals = Seals(secret)
    texts = seals.texts(DIGEST, {"news": stamp}, {"news": said})
    assert seals.said(DIGEST, {"news": stamp}, texts) == {"news": said}


def test_nothing_of_a_source_is_in_the_text() -> None:
    text = kept(Said(OTHER, False, SOURCE))
    assert "consents" not in text
    assert text != kept(Said(OTHER, False, SOURCE)), "the same twice looks the same"
    assert OTHER in text


@pytest.mark.parametrize(
    "other",
    [
        {"user": OTHER},
        {"path": "offers"},
        {"seals": Seals(b"another")},
        {"seals": Seals(b"")},
    ],
)
def test_a_source_is_bound_to_user_and_path_and_secret(other: dict[str, Any]) -> None:
    text = kept(Said("", False, SOURCE))
    assert read(text).source == SOURCE
    assert read(text, **other) == Said(is_unreadable=True)


def test_a_text_is_of_its_stamp_alone() -> None:
    newer = STAMP._replace(event_id="e2")
    assert read(kept(Said(OTHER)), stamp=newer) is None
    assert SEALS.said(DIGEST, {}, {"news": kept(Said(OTHER))}) == {}


def test_it_is_read_by_the_previous_secret_and_written_by_the_present_one() -> None:
    said, both = Said("", False, SOURCE), f"{OTHER}~{DIGEST}"
    rotating = Seals(b"new", b"secret")
    assert read(kept(said), rotating, both) == said
    again = rotating.texts(both, {"news": STAMP}, {"news": said})["news"]
    assert read(again, Seals(b"new"), OTHER) == said
    introduced = Seals(b"new", b"")
    assert read(kept(said, Seals(b"")), introduced, both) == said


@given(st.text())
def test_other_texts_say_that_there_was_something(text: str) -> None:
    assert read(text) == Said(is_unreadable=True)


@pytest.mark.parametrize("source", [["a" * LONGEST_TEXT_BYTES, None, False], [None, {1j}, False]])
def test_a_source_that_is_not_kept_is_known_to_have_been(source: list[Any]) -> None:
    assert read(kept(Said(OTHER, False, source))) == Said(OTHER, is_unreadable=True)


def test_what_could_not_be_read_is_not_kept_as_if_nothing_had_been_said() -> None:
    unreadable = read(kept(Said(OTHER, False, SOURCE)), seals=Seals(b"another"))
    assert read(kept(unreadable)) == unreadable


def test_a_text_is_never_taken_for_a_stamp() -> None:
    with pytest.raises(ValueError, match="not a stamp"):
        Stamp.decode(kept(Said(OTHER, True)))


def test_what_is_no_path_of_an_attribute() -> None:
    assert newest_of(f"{DIGEST}~{OTHER}") == [f"@{DIGEST}", f"@{OTHER}"]
    assert not any(map(is_path, (f"@{DIGEST}", ".", "~", "!", "?")))
    assert is_path("_acme.news")
    assert is_path("a")
