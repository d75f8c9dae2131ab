"""Acknowledgements in ranges, judged by a model of a channel of RabbitMQ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.broker.ack_ledger import AckLedger


class Channel:
    """What a broker does with acknowledgements: an unknown tag is an error that closes it."""

    def __init__(self, delivered: int) -> None:
        self.unacknowledged = set(range(1, delivered + 1))

    def acknowledge(self, tag: int, *, multiple: bool) -> set[int]:
        assert tag in self.unacknowledged, f"unknown delivery tag {tag}"
        covered = {one for one in self.unacknowledged if one <= tag} if multiple else {tag}
        self.unacknowledged -= covered
        return covered


@given(st.data())
def test_each_settled_tag_is_acknowledged_once_and_no_other_ever(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(1, data.draw(st.integers(1, 30)) + 1)))
    ledger, channel = AckLedger(), Channel(len(order))
    settled: set[int] = set()
    acknowledged: list[int] = []

    def next_range(most: int | None = None) -> None:
        before = len(acknowledged)
        top = ledger.next_range(most)
        if top is not None:
            acknowledged.extend(channel.acknowledge(top, multiple=True))
        assert most is None or len(acknowledged) - before <= most
        assert ledger.has_range == (min(channel.unacknowledged, default=0) in settled)

    def a_little() -> None:
        next_range(data.draw(st.integers(1, 5)))

    def stragglers() -> None:
        for tag in ledger.pop_stragglers():
            acknowledged.extend(channel.acknowledge(tag, multiple=False))

    for tag in order:
        ledger.add(tag)
        settled.add(tag)
        acts = st.sampled_from([next_range, a_little, stragglers])
        for act in data.draw(st.lists(acts, max_size=3)):
            act()
            assert set(acknowledged) <= settled
        assert ledger.kept_back == len(settled) - len(acknowledged)
    next_range()
    assert sorted(acknowledged) == list(range(1, len(order) + 1))
    assert channel.unacknowledged == set()
    assert ledger.kept_back == 0
    assert ledger.next_range() is None
    assert ledger.pop_stragglers() == []


def test_a_gap_keeps_back_what_is_above_it_until_it_closes() -> None:
    ledger = AckLedger()
    for tag in (2, 3):
        ledger.add(tag)
    assert ledger.next_range() is None
    assert ledger.kept_back == 2
    ledger.add(1)
    assert ledger.next_range() == 3


def test_a_range_ends_below_what_was_acknowledged_alone() -> None:
    ledger = AckLedger()
    ledger.add(2)
    assert ledger.pop_stragglers() == [2]
    ledger.add(1)
    assert ledger.next_range() == 1
    ledger.add(3)
    assert ledger.next_range() == 3


@given(st.data())
def test_a_rejected_tag_is_never_acknowledged_and_holds_up_no_other(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(1, data.draw(st.integers(1, 20)) + 1)))
    rejected = data.draw(st.sets(st.sampled_from(order)))
    ledger, channel = AckLedger(), Channel(len(order))
    acknowledged: set[int] = set()
    for tag in order:
        if tag in rejected:
            channel.acknowledge(tag, multiple=False)  # a rejection, to the channel's books
            ledger.add_rejected(tag)
        else:
            ledger.add(tag)
        if data.draw(st.booleans()) and (top := ledger.next_range()) is not None:
            acknowledged |= channel.acknowledge(top, multiple=True)
    if (top := ledger.next_range()) is not None:
        acknowledged |= channel.acknowledge(top, multiple=True)
    assert acknowledged == set(order) - rejected
    assert channel.unacknowledged == set()
