"""Filters are links, and what they mean is the same for a page, an act and a command."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from worker.broker.letter_filter import Filter
from worker.console.dead_letters.asked import (
    MOST_IDS,
    Asked,
    Meant,
    Unclear,
    number_in,
    read_meant,
)

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    "meant",
    [
        Meant(),
        Meant(integration="shop", reason="adobe-rejected", since="2h"),
        Meant(group="3f9a01c2", kind="withdrawn"),
        Meant(ids=frozenset({"a-1", "b-2"}), integration="a&b=c ü"),
    ],
)
def test_a_link_means_what_it_was_made_of(meant: Meant) -> None:
    pairs = parse_qsl(urlsplit(meant.full_link("/x")).query)
    ids = [value for name, value in pairs if name == "id"]
    assert read_meant(dict(pairs), ids) == meant


def test_it_means_letters_of_the_queue() -> None:
    meant = Meant(integration="shop", since="2h", ids=frozenset({"a"}), kind="given")
    assert meant.filter(10 * HOUR_MS) == Filter(
        integration="shop", since_ms=8 * HOUR_MS, ids=frozenset({"a"})
    )
    asked = Asked("replayed", meant, 7, canaries=2, wait_seconds=30, rate=0.5)
    handling = asked.handling()
    assert handling.chosen == Filter(integration="shop", ids=frozenset({"a"})), (
        "what was previewed an hour ago is no older by that"
    )
    assert (handling.canaries, handling.wait_seconds, handling.rate) == (2, 30, 0.5)
    assert handling.after_state_loss is False
    assert asked.without_canaries().handling().canaries == 0


def test_what_was_typed_and_is_no_id_is_in_no_words() -> None:
    meant = Meant(integration="lena@a.example", ids=frozenset({"lena meier"}))
    assert meant.words == "a letter, an integration"


def test_a_command_that_says_the_same_is_only_told_where_there_is_one() -> None:
    assert Meant(group="3f9a01c2", since="1h").options == " --group 3f9a01c2 --newer-than 1h"
    assert Meant(ids=frozenset({"a-1"})).options == " --id a-1"
    assert Meant(integration="shop").has_command
    for meant in (
        Meant(kind="given"),
        Meant(ids=frozenset({"a", "b"})),
        Meant(integration="a; rm -rf /"),
        Meant(ids=frozenset({"$(x)"})),
    ):
        assert not meant.has_command


def test_people_read_what_is_meant() -> None:
    assert Meant().words == "all dead letters"
    assert Meant(group="3f9a01c2", kind="withdrawn").words == "group 3f9a01c2, choices withdrawn"
    assert Meant(ids=frozenset({"a", "b"})).words == "2 chosen letters"


@pytest.mark.parametrize(
    "said",
    [
        {"reason": "no-such"},
        {"group": "3F9A01C2"},
        {"group": "../../x"},
        {"since": "yesterday"},
        {"kind": "maybe"},
        {"integration": "x" * 201},
    ],
)
def test_what_is_no_filter_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(Unclear):
        read_meant(said)


def test_too_many_letters_or_too_long_ids_are_refused() -> None:
    for ids in (["x"] * (MOST_IDS + 1), ["x" * 201]):
        with pytest.raises(Unclear):
            read_meant({}, ids)


def test_a_number_of_a_form_has_bounds() -> None:
    assert number_in({"rate": " 2.5 "}, "rate", 1, 9) == 2.5
    assert number_in({}, "rate", 1, 9) is None
    for text in ("x", "nan", "inf", "-1", "10", "1e9"):
        with pytest.raises(Unclear, match="rate is a number from 1 to 9"):
            number_in({"rate": text}, "rate", 1, 9)


def test_what_is_counted_is_no_fraction() -> None:
    assert number_in({"canaries": "2"}, "canaries", 0, 9, is_whole=True) == 2
    for text in ("1.5", "x", "10"):
        with pytest.raises(Unclear, match="canaries is a whole number from 0 to 9"):
            number_in({"canaries": text}, "canaries", 0, 9, is_whole=True)
