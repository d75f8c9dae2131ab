"""Snapshots of several Didomi users of one person: rules as rows, and as properties."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ordering.newest_fold import Folded, stamps_of
from worker.ordering.snapshot_fold import Known, fold_known, maybe_said
from worker.ordering.stamp import WHOLE_RECORD, Said, Stamp
from worker.ordering.store_protocol import UNCLEAR
from worker.ordering.unclear_requests import before
from worker.ordering.verdicts import Verdict
from worker.transform.decision_types import Source
from worker.transform.format_rendering import EMPTIED, Sent, is_silent

PHONE, TABLET = "P" * 22, "T" * 22
NOTHING = Known({}, {})
FALSE = {"news": False, "offers": False, "sms": False}
SILENT = dict.fromkeys(FALSE, EMPTIED)
CONTRIBUTES, SUPERSEDED, EMPTIES = Verdict.CONTRIBUTES, Verdict.SUPERSEDED, Verdict.EMPTIES


@dataclass(frozen=True)
class Status:
    """A snapshot of a Didomi user, or an event if there is none."""

    event_time_ms: int
    attributes: dict[str, Any] = field(default_factory=dict)
    didomi_user: str | None = PHONE
    absent: Mapping[str, Any] = field(default_factory=lambda: FALSE)
    is_silent_if_unknown: bool = False
    updated_at_ms: int | None = None
    companions: frozenset[str] = frozenset()
    sources: Mapping[str, Source] | None = None

    @property
    def event_id(self) -> str:
        return f"{self.didomi_user} {self.event_time_ms}"


class State:
    """What Adobe and the worker have of one person, after folds that were all accepted."""

    def __init__(self, *, replaces: bool = False) -> None:
        self.replaces = replaces
        self.known = NOTHING
        self.adobe: dict[str, Any] = {}
        self.messages = 0

    def take(self, *group: Status, maybe_at_adobe: Sequence[int] = ()) -> list[Verdict]:
        folded = fold_known(
            group, self.known, replaces=self.replaces, maybe_at_adobe=maybe_at_adobe
        )
        self._send(folded)
        self.known = Known(
            {**self.known.stamps, **folded.written}, {**self.known.said, **folded.said}
        )
        return list(folded.verdicts)

    def _send(self, folded: Folded) -> None:
        if not folded.is_sent:
            assert not folded.attributes
            return
        self.messages += 1
        for path, value in folded.attributes.items():
            if not is_silent(value):
                self.adobe[path] = value
            elif self.replaces:
                self.adobe.pop(path, None)


def ends_with(*groups: Sequence[Status], replaces: bool = False) -> dict[str, Any]:
    state = State(replaces=replaces)
    for group in groups:
        state.take(*group)
    return state.adobe


def test_what_a_newer_snapshot_of_the_same_user_no_longer_names_is_taken_back() -> None:
    state = State()
    assert state.take(Status(10_00, {"news": True})) == [CONTRIBUTES]
    assert state.take(Status(11_00)) == [CONTRIBUTES]
    assert state.adobe == {"news": False}
    late = Status(10_30, {"news": True, "sms": True})
    assert state.take(late) == [SUPERSEDED]
    assert state.adobe == {"news": False}


def test_an_empty_snapshot_is_remembered_though_there_is_nothing_to_take_back() -> None:
    state = State()
    assert state.take(Status(11_00)) == [EMPTIES]
    assert state.messages == 0
    assert state.take(Status(10_30, {"news": True})) == [SUPERSEDED]
    assert state.adobe == {}


def test_what_adobe_may_have_of_an_older_snapshot_is_taken_back_when_that_comes_again() -> None:
    state = State()
    state.adobe = {"news": True, "sms": True}  # by a worker that died before it knew
    older = Status(10_00, {"news": True, "sms": True})
    assert state.take(Status(11_00, {"sms": True})) == [CONTRIBUTES]
    assert state.take(older, maybe_at_adobe=[0]) == [Verdict.UNDOES]
    assert state.adobe == {"news": False, "sms": True}
    assert state.take(older, maybe_at_adobe=[0]) == [SUPERSEDED], "once"


def test_what_adobe_may_have_is_taken_back_also_where_the_newer_snapshot_waits_beside_it() -> None:
    state = State()
    state.adobe = {"news": True}
    verdicts = state.take(Status(10_00, {"news": True}), Status(11_00), maybe_at_adobe=[0])
    assert verdicts == [Verdict.UNDOES, EMPTIES]
    assert (state.adobe, state.messages) == ({"news": False}, 1)


def test_what_only_goes_along_is_taken_back_as_well() -> None:
    state = State()
    state.take(Status(11_00, {"sms": True}))
    older = Status(10_00, {"sms": True, "news": True}, companions=frozenset({"news"}))
    assert state.take(older, maybe_at_adobe=[0]) == [Verdict.UNDOES]
    assert state.adobe == {"sms": True, "news": False}


def test_what_another_device_has_chosen_since_is_not_taken_back_with_it() -> None:
    state = State()
    state.take(Status(10_30, {"news": True}, didomi_user=TABLET))
    state.take(Status(11_00))
    older = Status(10_00, {"news": False})
    assert state.take(older, maybe_at_adobe=[0]) == [SUPERSEDED]
    assert state.adobe == {"news": True}


def test_a_choice_that_never_stood_is_not_taken_back_in_place_of_the_one_that_did() -> None:
    """Of two at one time the refusal stands, and whose it is may take it back."""
    state = State()
    state.take(Status(10_00, {"news": False}), Status(10_00, {"news": True}, didomi_user=TABLET))
    state.take(Status(11_00))
    state.take(Status(12_00, didomi_user=TABLET))
    messages = state.messages
    lost = Status(10_00, {"news": True}, didomi_user=TABLET)
    assert state.take(lost, maybe_at_adobe=[0]) == [SUPERSEDED]
    assert state.messages == messages


def test_what_is_taken_back_so_has_the_time_of_the_newer_snapshot() -> None:
    absent = {"news": Sent({"val": "u"}, True, "_acme.newsSince", 10_00)}
    state = State()
    state.take(Status(11_00, absent=absent))
    state.take(Status(10_00, {"news": True}, absent=absent), maybe_at_adobe=[0])
    assert state.adobe == {"news": absent["news"]._replace(time_ms=11_00)}


def test_where_nothing_is_sent_of_what_is_taken_back_the_older_snapshot_makes_no_message() -> None:
    state = State()
    state.take(Status(11_00, absent=SILENT))
    older = Status(10_00, {"news": True}, absent=SILENT)
    assert state.take(older, maybe_at_adobe=[0]) == [SUPERSEDED]
    assert state.messages == 0


def test_what_is_taken_back_once_is_not_said_again() -> None:
    state = State()
    state.take(Status(10_00, {"news": True}))
    state.take(Status(11_00))
    assert state.take(Status(12_00)) == [EMPTIES]
    assert state.take(Status(13_00, {"news": True})) == [CONTRIBUTES]
    assert state.adobe == {"news": True}


def test_another_device_takes_back_only_what_it_had_said() -> None:
    state = State()
    state.take(Status(10_00, {"news": True, "sms": True}))
    assert state.take(Status(11_00, didomi_user=TABLET)) == [EMPTIES]
    assert state.take(Status(12_00, {"sms": False}, didomi_user=TABLET)) == [CONTRIBUTES]
    assert state.take(Status(13_00, {}, didomi_user=PHONE)) == [CONTRIBUTES]
    assert state.adobe == {"news": False, "sms": False}
    assert state.take(Status(14_00, {}, didomi_user=TABLET)) == [CONTRIBUTES]


def test_a_choice_that_is_taken_back_keeps_its_place_in_the_order() -> None:
    """What the tablet has chosen between is newer than what the phone takes back."""
    said = Status(10_00, {"news": True})
    between = Status(11_00, {"news": True}, didomi_user=TABLET)
    taken_back = Status(12_00)
    for order in ([said, between, taken_back], [said, taken_back, between]):
        assert ends_with(*([one] for one in order)) == {"news": True}
    before = replace(between, event_time_ms=9_00)
    for order in ([before, said, taken_back], [said, taken_back, before]):
        assert ends_with(*([one] for one in order)) == {"news": False}


@pytest.mark.parametrize("replaces", [False, True])
def test_a_snapshot_without_consents_counts_as_empty_of_whom_is_known_alone(replaces: bool) -> None:
    nothing = Status(11_00, is_silent_if_unknown=True)
    state = State(replaces=replaces)
    assert state.take(nothing) == [Verdict.SAYS_NOTHING]
    assert state.take(replace(nothing, event_time_ms=11_30)) == [Verdict.SAYS_NOTHING]
    assert state.messages == 0
    state.take(Status(12_00, {"news": True}))
    assert state.take(replace(nothing, didomi_user=TABLET)) == [Verdict.SAYS_NOTHING]
    assert state.take(replace(nothing, event_time_ms=13_00)) == [CONTRIBUTES]
    together = State(replaces=replaces)
    said = Status(10_00, {"news": True})
    verdicts = together.take(said, nothing)
    assert Verdict.SAYS_NOTHING not in verdicts
    assert together.take(said) == [SUPERSEDED]


@pytest.mark.parametrize("replaces", [False, True])
def test_what_is_older_than_a_snapshot_without_consents_is_superseded(replaces: bool) -> None:
    state = State(replaces=replaces)
    waits = Status(10_00, {"news": True})
    nothing = Status(11_00, is_silent_if_unknown=True)
    assert state.take(nothing) == [Verdict.SAYS_NOTHING]
    assert state.take(nothing) == [Verdict.DUPLICATE]
    assert state.take(waits) == [SUPERSEDED]
    assert state.take(replace(waits, didomi_user=TABLET)) == [CONTRIBUTES]
    assert state.adobe == {"news": True}
    assert state.take(replace(nothing, event_time_ms=12_00)) == [EMPTIES]
    assert (state.adobe, state.messages) == ({"news": True}, 1), "which another device has said"


def test_a_snapshot_without_consents_takes_back_what_a_request_without_an_answer_may_have_set() -> (
    None
):
    said = Status(10_00, {"news": True})
    maybe = maybe_said(fold_known([said], NOTHING, replaces=False), NOTHING)
    nothing = Status(11_00, is_silent_if_unknown=True)
    mark = Stamp(-1, said.event_time_ms, False, "its event")
    known = Known({**maybe.stamps, UNCLEAR: mark}, maybe.said)
    folded = fold_known([nothing], known, replaces=False)
    assert (folded.verdicts, folded.attributes) == ([CONTRIBUTES], {"news": False})
    record = fold_known([nothing], Known({UNCLEAR: mark}, {}), replaces=True)
    assert (record.verdicts, record.is_sent) == ([CONTRIBUTES], True)


def test_of_snapshots_that_wait_together_the_newest_of_each_user_speaks() -> None:
    state = State()
    older, newer = Status(10_00, {"news": True, "sms": True}), Status(11_00, {"news": True})
    other = Status(9_00, {"news": False, "offers": True}, didomi_user=TABLET)
    assert state.take(older, newer, other, newer) == [
        Verdict.YIELDS,
        CONTRIBUTES,
        CONTRIBUTES,
        Verdict.FOLLOWS,
    ]
    assert state.adobe == {"news": True, "offers": True}
    assert state.take(newer) == [Verdict.DUPLICATE]


def test_one_that_loses_is_written_with_the_message_and_not_before() -> None:
    """Skipped at once, it would be forgotten that it has spoken if the message fails."""
    state = State()
    state.take(Status(12_00, {"news": False}, didomi_user=TABLET))
    loser, other = Status(11_00, {"news": True}), Status(13_00, {"sms": True}, didomi_user=TABLET)
    assert fold_known([loser], state.known, replaces=False).verdicts == [SUPERSEDED]
    folded = fold_known([loser, other], state.known, replaces=False)
    assert folded.verdicts == [Verdict.YIELDS, CONTRIBUTES]
    assert f"@{PHONE}" in folded.written


def test_the_record_is_written_again_when_something_is_taken_back_in_silence() -> None:
    state = State(replaces=True)
    state.take(Status(10_00, {"news": True, "sms": True}, absent=SILENT))
    assert state.take(Status(11_00, {"sms": True}, absent=SILENT)) == [CONTRIBUTES]
    assert state.adobe == {"sms": True}


def test_a_record_of_which_nothing_is_known_is_sent_though_it_is_empty() -> None:
    """The state may be lost, and Adobe not."""
    state = State(replaces=True)
    assert state.take(Status(10_00, absent=SILENT)) == [CONTRIBUTES]
    assert state.messages == 1


def test_a_preference_that_is_emptied_is_remembered_and_not_sent() -> None:
    state = State()
    emptied = Status(11_00, {"news": EMPTIED})
    assert state.take(emptied) == [EMPTIES]
    assert (state.messages, state.adobe) == (0, {})
    assert state.take(Status(10_00, {"news": "bags"}, didomi_user=TABLET)) == [SUPERSEDED]


def test_a_snapshot_of_before_a_whole_record_is_superseded() -> None:
    """That is all that a worker before 0.2 has kept."""
    known = Known({WHOLE_RECORD: Stamp(10_00, 0, False, "PHONE")}, {})
    older, newer = Status(9_00, {"news": True}), Status(11_00, {"sms": True})
    assert fold_known([older], known, replaces=True).verdicts == [SUPERSEDED]
    folded = fold_known([older, newer], known, replaces=True)
    assert folded.verdicts == [SUPERSEDED, CONTRIBUTES]
    assert folded.attributes == {"sms": True}


def test_companions_alone_are_no_message() -> None:
    kind = frozenset({"sms"})
    state = State()
    state.take(Status(12_00, {"news": True}, didomi_user=TABLET))
    late = Status(11_00, {"news": False, "sms": "fact"}, companions=kind)
    assert state.take(late) == [SUPERSEDED]
    assert state.adobe == {"news": True}
    assert "sms" not in state.known.stamps


def test_what_an_unclear_request_may_still_set_is_taken_back_once_more() -> None:
    """The request with the first snapshot had no answer; it may arrive yet."""
    said = Status(10_00, {"news": True})
    mark = Stamp(60_000, said.event_time_ms, False, "the first one")
    nothing = Known({}, {})
    maybe = maybe_said(fold_known([said], nothing, replaces=False), nothing)
    known = Known({**maybe.stamps, UNCLEAR: mark}, maybe.said)
    folded = fold_known([Status(11_00)], known, replaces=False)
    assert folded.verdicts == [CONTRIBUTES]
    assert folded.attributes == {"news": False}, "and nothing that nobody ever said"
    stands = Known({**folded.written, UNCLEAR: mark._replace(time_ms=-1)}, folded.said)
    again = fold_known([Status(12_00)], stands, replaces=False)
    assert again.verdicts == [CONTRIBUTES]
    long_ago = Known({**folded.written, UNCLEAR: mark._replace(time_ms=-90_000_000)}, folded.said)
    assert fold_known([Status(12_00)], long_ago, replaces=False).verdicts == [EMPTIES]


def test_a_repeat_without_consents_is_of_somebody_who_is_known() -> None:
    state = State()
    state.take(Status(10_00, {"news": True}))
    emptied = Status(11_00, is_silent_if_unknown=True)
    assert state.take(emptied) == [CONTRIBUTES]
    mark = {UNCLEAR: Stamp(1000, 10_00, False, "")}
    stamps = before([emptied], {**state.known.stamps, **mark})
    folded = fold_known([emptied], Known(stamps, state.known.said), replaces=False)
    assert (folded.verdicts, folded.attributes) == ([CONTRIBUTES], {"news": False})


def test_another_didomi_user_takes_nothing_back_of_an_unclear_request() -> None:
    said = Status(10_00, {"news": True}, didomi_user=PHONE)
    mark = Stamp(60_000, said.event_time_ms, False, "the first one")
    nothing = Known({}, {})
    maybe = maybe_said(fold_known([said], nothing, replaces=False), nothing)
    known = Known({**maybe.stamps, UNCLEAR: mark}, maybe.said)
    other = fold_known([Status(11_00, {"sms": True}, didomi_user=TABLET)], known, replaces=False)
    assert other.attributes == {"sms": True}
    retried = Known({**known.stamps, **other.written}, {**known.said, **other.said})
    assert fold_known([said], retried, replaces=False).attributes == {"news": True}


def test_during_a_rotation_a_user_is_known_by_either_digest() -> None:
    state = State()
    state.take(Status(10_00, {"news": True}, didomi_user=PHONE))
    both = f"{TABLET}~{PHONE}"
    assert state.take(Status(9_00, {"sms": True}, didomi_user=both)) == [SUPERSEDED]
    assert state.take(Status(11_00, didomi_user=both)) == [CONTRIBUTES]
    assert state.adobe == {"news": False}
    assert state.known.stamps[f"@{TABLET}"].time_ms == 11_00
    assert state.known.said["news"] == Said(TABLET, is_taken_back=True)


def test_stamps_of_a_snapshot_tell_that_it_has_spoken() -> None:
    status = Status(10_00, {"news": True}, didomi_user=f"{PHONE}~{TABLET}")
    assert set(stamps_of(status)) == {"news", f"@{PHONE}", f"@{TABLET}"}


names = st.sampled_from(sorted(FALSE))
statuses = st.builds(
    Status,
    st.integers(1, 6),
    st.dictionaries(names, st.booleans()),
    st.sampled_from([PHONE, TABLET]),
    st.sampled_from([FALSE, SILENT]),
)


def of_one_content(history: list[Status]) -> list[Status]:
    """Of one user and time there is one snapshot."""
    return list({(one.didomi_user, one.event_time_ms): one for one in history}.values())


@given(st.lists(statuses, max_size=6).map(of_one_content), st.booleans(), st.data())
def test_of_one_user_the_newest_snapshot_is_what_adobe_ends_with(
    history: list[Status], replaces: bool, data: st.DataObject
) -> None:
    """Whatever comes when, how often, and together with what."""
    mine = [
        replace(one, didomi_user=PHONE, absent=SILENT if replaces else FALSE) for one in history
    ]
    mine = of_one_content(mine)
    if not mine:
        return
    state = State(replaces=replaces)
    waiting = data.draw(st.permutations([*mine, *mine]), label="arrival")
    while waiting:
        size = data.draw(st.integers(1, len(waiting)), label="size of the fold")
        state.take(*waiting[:size])
        waiting = waiting[size:]
    newest = max(mine, key=lambda one: one.event_time_ms)
    expected = newest.attributes if replaces else {**FALSE, **newest.attributes}
    got = state.adobe if replaces else {**FALSE, **state.adobe}
    assert got == expected


@given(st.lists(statuses, max_size=5).map(of_one_content))
def test_no_older_choice_replaces_a_newer_one(history: list[Status]) -> None:
    """Of two devices: a consent that stands at last is in the newest snapshot of one of them; and
    the order of those that wait together changes nothing.
    """
    history = [replace(one, absent=FALSE) for one in history]
    results = set()
    for order in itertools.islice(itertools.permutations(history), 24):
        folded = fold_known(order, NOTHING, replaces=False)
        results.add((repr(sorted(folded.attributes.items())), repr(sorted(folded.written.items()))))
        state = State()
        for one in order:
            state.take(one)
        for path, value in state.adobe.items():
            standing = {
                user: max(
                    (one for one in history if one.didomi_user == user),
                    key=lambda one: one.event_time_ms,
                )
                for user in {one.didomi_user for one in history}
            }
            naming = [one for one in standing.values() if path in one.attributes]
            if value is True:
                assert any(one.attributes[path] is True for one in naming)
    assert len(results) == 1


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_of_two_snapshots_of_one_moment_the_refusal_wins_and_nothing_is_taken_back(
    order: tuple[bool, bool], replaces: bool
) -> None:
    yes, no = Status(10_00, {"news": True, "sms": True}), Status(10_00, {"news": False})
    first, second = (yes if one else no for one in order)
    alone, together = State(replaces=replaces), State(replaces=replaces)
    alone.take(first)
    alone.take(second)
    together.take(first, second)
    assert alone.adobe == together.adobe == {"news": False, "sms": True}
    assert alone.take(first) == [Verdict.DUPLICATE]
    assert alone.take(second) == [Verdict.DUPLICATE]


def test_copies_of_two_snapshots_of_one_moment_follow() -> None:
    yes, no = Status(10_00, {"sms": True}), Status(10_00, {"news": False})
    verdicts = State().take(yes, no, yes, no, Status(9_00, {"news": True}))
    assert sorted(one.value for one in verdicts) == [
        "contributes",
        "contributes",
        "follows",
        "follows",
        "yields",
    ]


@pytest.mark.parametrize(
    ("left_ms", "states_again"), [(60_000, True), (-60_000, True), (-86_400_001, False)]
)
def test_what_an_unclear_request_may_still_set_is_undone_once_more(
    left_ms: int, states_again: bool
) -> None:
    state = State()
    older = Status(10_00, {"news": True})
    state.take(older, Status(11_00), maybe_at_adobe=[0])
    assert state.messages == 1
    mark = {UNCLEAR: Stamp(left_ms, 10_00, False, "which")}
    state.known = state.known._replace(stamps={**state.known.stamps, **mark})
    verdict = Verdict.UNDOES if states_again else SUPERSEDED
    assert state.take(older, maybe_at_adobe=[0]) == [verdict]
    assert (state.messages, state.adobe) == (1 + states_again, {"news": False})


def test_what_another_device_has_taken_back_since_is_not_undone_once_more() -> None:
    state = State()
    older = Status(10_00, {"news": True})
    state.take(older, Status(11_00), maybe_at_adobe=[0])
    state.take(Status(10_30, {"news": True}, didomi_user=TABLET))
    mark = {UNCLEAR: Stamp(60_000, 10_00, False, "which")}
    state.known = state.known._replace(stamps={**state.known.stamps, **mark})
    assert state.take(older, maybe_at_adobe=[0]) == [SUPERSEDED]
    assert state.adobe == {"news": True}


def test_a_whole_record_that_may_be_there_is_followed_by_another_one() -> None:
    state = State(replaces=True)
    state.take(Status(9_00, {"sms": True}, didomi_user=TABLET))
    state.take(Status(11_00))
    sent = state.messages
    older = Status(10_00, {"news": True})
    assert state.take(older) == [SUPERSEDED]
    assert state.take(older, maybe_at_adobe=[0]) == [Verdict.UNDOES]
    assert state.messages == sent + 1
