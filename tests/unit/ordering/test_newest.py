"""The newest choice wins by attribute: rules as rows, arithmetic as properties."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ordering.newest_fold import Folded, fold, is_after
from worker.ordering.stamp import Stamp
from worker.ordering.verdicts import Verdict
from worker.transform.format_rendering import EMPTIED, Sent, is_refusal


@dataclass(frozen=True)
class Event:
    event_id: str
    event_time_ms: int
    attributes: dict[str, Any] = field(default_factory=dict)
    updated_at_ms: int | None = None
    companions: frozenset[str] = frozenset()
    didomi_user: str | None = None


EARLIER = Event("e1", 1_000, {"news": True, "offers": True})
LATER = Event("e2", 2_000, {"news": False})


def stamp(event: Event, path: str = "news") -> Stamp:
    return fold([event], {}).written[path]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(Event("e", 1_000), False, id="made before"),
        pytest.param(Event("e", 1_500), False, id="made then"),
        pytest.param(Event("e", 2_000), True, id="made after it"),
        pytest.param(Event("e", 1_000, updated_at_ms=2_000), True, id="changed after it"),
        pytest.param(Event("e", 2_000, updated_at_ms=1_000), True, id="a clock that went back"),
        pytest.param(
            Event("e", 1_000, updated_at_ms=9_000, didomi_user="phone"),
            False,
            id="the version of a snapshot, which is no time",
        ),
    ],
)
def test_what_was_made_or_changed_after_an_erasure_is_new(event: Event, expected: bool) -> None:
    assert is_after(event, Stamp(1_500, 0, False, "")) is expected


def test_one_event_with_nothing_stored_is_sent_as_it_is() -> None:
    assert fold([EARLIER], {}) == Folded(
        {"news": True, "offers": True},
        (Verdict.CONTRIBUTES,),
        {"news": Stamp(1_000, 0, False, "e1"), "offers": Stamp(1_000, 0, False, "e1")},
    )


def test_an_older_event_keeps_what_nothing_newer_has_set() -> None:
    folded = fold([EARLIER], {"news": stamp(LATER)})
    assert folded.attributes == {"offers": True}
    assert folded.verdicts == [Verdict.CONTRIBUTES]
    assert folded.written == {"offers": Stamp(1_000, 0, False, "e1")}


@pytest.mark.parametrize(
    ("events", "stored", "expected"),
    [
        pytest.param([EARLIER, LATER], {}, [Verdict.CONTRIBUTES] * 2, id="both in part"),
        pytest.param(
            [Event("e1", 1_000, {"news": True}), LATER],
            {},
            [Verdict.YIELDS, Verdict.CONTRIBUTES],
            id="older one in the same message",
        ),
        pytest.param(
            [Event("e1", 1_000, {"news": True})],
            {"news": stamp(LATER)},
            [Verdict.SUPERSEDED],
            id="newer one is accepted",
        ),
        pytest.param([LATER], {"news": stamp(LATER)}, [Verdict.DUPLICATE], id="accepted itself"),
        pytest.param(
            [LATER, LATER, LATER],
            {},
            [Verdict.CONTRIBUTES, Verdict.FOLLOWS, Verdict.FOLLOWS],
            id="copies wait together",
        ),
        pytest.param(
            [LATER, LATER],
            {"news": stamp(LATER)},
            [Verdict.DUPLICATE, Verdict.DUPLICATE],
            id="copies of what is accepted",
        ),
        pytest.param(
            [EARLIER],
            {"news": stamp(LATER), "offers": stamp(EARLIER)},
            [Verdict.SUPERSEDED],
            id="accepted itself and since then partly replaced",
        ),
        pytest.param(
            [EARLIER, Event("e3", 3_000, {"offers": False})],
            {"news": stamp(LATER)},
            [Verdict.YIELDS, Verdict.CONTRIBUTES],
            id="partly replaced, partly about to be",
        ),
        pytest.param(
            [EARLIER, EARLIER, Event("e3", 3_000, {"news": False, "offers": False})],
            {},
            [Verdict.YIELDS, Verdict.YIELDS, Verdict.CONTRIBUTES],
            id="copies of what is about to be replaced",
        ),
    ],
)
def test_verdicts(events: list[Event], stored: dict[str, Stamp], expected: list[Verdict]) -> None:
    assert list(fold(events, stored).verdicts) == expected


def test_only_what_adobe_has_accepted_allows_skipping_at_once() -> None:
    assert {verdict for verdict in Verdict if not verdict.awaits_message} == {
        Verdict.SUPERSEDED,
        Verdict.DUPLICATE,
    }


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param(Event("b", 1, {"a": 0}), Event("a", 2, {"a": 1}), id="created_at"),
        pytest.param(Event("b", 1, {"a": 0}), Event("a", 1, {"a": 1}, 5), id="updated_at"),
        pytest.param(Event("b", 1, {"a": True}), Event("a", 1, {"a": False}), id="refusal"),
        pytest.param(
            Event("b", 1, {"a": {"val": "y"}}),
            Event("a", 1, {"a": {"val": "n"}}),
            id="refusal in Adobe's consent type",
        ),
        pytest.param(Event("a", 1, {"a": True}), Event("b", 1, {"a": True}), id="id"),
        pytest.param(Event("a", 1, {"a": "x"}), Event("a", 1, {"a": "y"}), id="content"),
    ],
)
def test_what_makes_an_event_the_newer_one(older: Event, newer: Event) -> None:
    for order in ([older, newer], [newer, older]):
        assert fold(order, {}).attributes == newer.attributes
    assert stamp(older, "a") <= stamp(newer, "a")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((False, True), ({"val": "n"}, True), (True, False), ({"val": "y"}, False), ("n", False)),
        *((0, False), (1, False), (Sent("n", True), True), (Sent(False, False), False)),
    ],
)
def test_refusals(value: Any, expected: bool) -> None:
    assert is_refusal(value) is expected


BAGS_GONE = Event("e2", 2_000, {"bags": EMPTIED})


def test_a_choice_that_is_emptied_is_remembered_and_no_message() -> None:
    folded = fold([BAGS_GONE], {})
    assert folded == Folded(
        {}, [Verdict.EMPTIES], {"bags": Stamp(2_000, 0, True, "e2")}, is_sent=False
    )
    older = Event("e1", 1_000, {"bags": "shoes"})
    assert fold([older], folded.written).verdicts == [Verdict.SUPERSEDED]
    assert fold([BAGS_GONE], folded.written).verdicts == [Verdict.DUPLICATE]
    together = fold([older, BAGS_GONE, BAGS_GONE], {})
    assert together.verdicts == [Verdict.SUPERSEDED, Verdict.EMPTIES, Verdict.DUPLICATE]
    assert not together.is_sent


def test_beside_a_message_what_is_emptied_waits_for_it() -> None:
    folded = fold([BAGS_GONE, EARLIER], {})
    assert folded.verdicts == [Verdict.EMPTIES, Verdict.CONTRIBUTES]
    assert folded.is_sent
    assert folded.written["bags"] == Stamp(2_000, 0, True, "e2")
    assert Verdict.EMPTIES.awaits_message
    both = fold([Event("e3", 3_000, {"bags": EMPTIED, "news": True})], {})
    assert (both.verdicts, both.is_sent) == ([Verdict.CONTRIBUTES], True)


def test_companions_go_along_and_make_no_message() -> None:
    fact = frozenset({"source"})
    late = Event("e1", 1_000, {"news": True, "source": "app"}, None, fact)
    folded = fold([late], {"news": stamp(LATER)})
    assert folded == Folded({}, [Verdict.SUPERSEDED], {}, is_sent=False)
    assert fold([late], {}).attributes == late.attributes
    other = Event("e3", 3_000, {"offers": True})
    assert fold([late, other], {"news": stamp(LATER)}).attributes == {"offers": True}
    emptied = Event("e4", 4_000, {"bags": EMPTIED, "source": "app"}, None, fact)
    assert fold([emptied], {}).written.keys() == {"bags"}


any_stamp = st.builds(
    Stamp,
    st.integers(-(10**14), 10**15),
    st.integers(-(10**14), 10**15),
    st.booleans(),
    st.text() | st.sampled_from(["", "+", "n", "1.2n3", "\n", "\x00", "\ud800"]),
)


@given(any_stamp)
def test_a_stamp_survives_its_encoding(one: Stamp) -> None:
    assert Stamp.decode(one.encode()) == one


def test_an_encoded_stamp_of_a_uuid_fits_into_64_bytes() -> None:
    one = Stamp(1_800_000_000_000, 1_800_000_000_000, True, "0" * 36)
    assert len(one.encode()) <= 64


@pytest.mark.parametrize("text", ["", "5", "x+id", "1.+id", "1.2.3+id", "१+id", "1_0+id"])
def test_other_texts_are_no_stamps(text: str) -> None:
    with pytest.raises(ValueError, match="not a stamp"):
        Stamp.decode(text)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Partial events of one user; one id and time always has one content."""
    keys = st.tuples(st.sampled_from("xyz"), st.integers(1, 4), st.none() | st.integers(1, 3))
    values = st.booleans() | st.sampled_from(["gold", {"val": "n"}, {"val": "y"}])
    contents = st.dictionaries(st.sampled_from(["a", "b", "c"]), values, min_size=1)
    events = draw(st.dictionaries(keys, contents, min_size=1, max_size=6))
    return [Event(key[0], key[1], content, key[2]) for key, content in events.items()]


def newest_by_hand(events: list[Event]) -> dict[str, Any]:
    """The value that each attribute must end with, found the plainest way."""
    final: dict[str, Any] = {}
    order = [
        (one.event_time_ms, one.updated_at_ms or 0, is_refusal(value), one.event_id, path, value)
        for one in events
        for path, value in one.attributes.items()
    ]
    for *_, path, value in sorted(order, key=lambda row: row[:5]):
        final[path] = value
    return final


@given(histories(), st.data())
def test_any_order_copies_and_folds_end_with_the_newest(
    history: list[Event], data: st.DataObject
) -> None:
    """Folds succeed or fail at random; what failed comes back, as it does after a retry."""
    copies = data.draw(st.lists(st.sampled_from(history), max_size=6), label="copies")
    waiting = data.draw(st.permutations(history + copies), label="arrival")
    failures = data.draw(st.integers(0, 5), label="failures")
    adobe: dict[str, Any] = {}
    stored: dict[str, Stamp] = {}
    durable: list[Event] = []
    while waiting:
        size = data.draw(st.integers(1, len(waiting)), label="size of the fold")
        events, waiting = waiting[:size], waiting[size:]
        folded = fold(events, stored)
        assert folded.attributes.keys() == folded.written.keys()
        assert bool(folded.attributes) == (Verdict.CONTRIBUTES in folded.verdicts)
        accepted = bool(folded.attributes) and not (failures and data.draw(st.booleans()))
        if accepted:
            adobe |= folded.attributes
            assert all(one > stored.get(path, ()) for path, one in folded.written.items())
            stored |= folded.written
        elif folded.attributes:
            failures -= 1
        for event, verdict in zip(events, folded.verdicts, strict=True):
            if verdict.awaits_message and not accepted:
                assert folded.attributes
                waiting.append(event)
            else:
                durable.append(event)
        assert all(adobe.keys() >= event.attributes.keys() for event in durable)
    assert adobe == newest_by_hand(history)


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_events_wait_does_not_change_what_is_sent(
    history: list[Event], random: Any
) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)
    first, second = fold(history, {}), fold(shuffled, {})
    assert first.attributes == second.attributes
    assert first.written == second.written
    assert dict(zip(history_keys(history), first.verdicts, strict=True)) == dict(
        zip(history_keys(shuffled), second.verdicts, strict=True)
    )


def history_keys(history: list[Event]) -> list[tuple[str, int, int | None]]:
    return [(one.event_id, one.event_time_ms, one.updated_at_ms) for one in history]
