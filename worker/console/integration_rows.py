"""What is known of each integration, in one row: its file, its lanes, its receipts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from worker.console.fleet_lanes import LaneAtAll
from worker.console.fleet_troubles import GIVEN_UP_BEFORE, HARD, WHY_GONE, has_left, sentence_of
from worker.console.fleet_verdict import given_up_sentence
from worker.console.formats import number
from worker.console.rates import rate_now
from worker.console.unseen_withdrawals import Unseen
from worker.ledger.conservation import Shares
from worker.ledger.open_withdrawals import OpenWithdrawals
from worker.ledger.outcome_series import Slots

STATES: Final = (
    "failing",
    "blocked",
    "invalid",
    "gone",
    "slowed",
    "paused",
    "dead",
    "silent",
    "disabled",
    "well",
)
"""The worst first."""
_CALM: Final = frozenset({"silent", "disabled", "well"})
_FIRST_CALM: Final = STATES.index("dead")
_SPARK_SLOTS: Final = 30


class FileFacts(NamedTuple):
    """What an integration's file says. `why_invalid` is "" for a good one; of a bad one the last
    good version may go on. `changed_at` is in ms since 1970. `lacks_secrets`: see `BadFile`.
    """

    organization: str
    state: str
    version: str
    changed_at: int | None
    why_invalid: str = ""
    lacks_secrets: bool = False


class IntegrationRow(NamedTuple):
    """What is known of an integration: `state` is a status word, and `needs_somebody` says whether
    that is more than something to know. `letters` are its dead letters that are there now. `counts`
    are its receipts, slot by slot; `rate` is a second. Where some is `unseen`, `withdrawals` are
    the least that there are.
    """

    id: str
    state: str
    file: FileFacts | None
    lane: LaneAtAll | None
    why: str
    shares: Shares
    letters: int
    withdrawals: OpenWithdrawals
    counts: Sequence[int]
    rate: float
    needs_somebody: bool = False
    unseen: Unseen = Unseen()

    @property
    def spark(self) -> Sequence[int]:
        """The counts of an integration's receipts in as few slots as a small line can show."""
        size = -(-len(self.counts) // _SPARK_SLOTS) or 1
        return [sum(self.counts[at : at + size]) for at in range(0, len(self.counts), size)]

    @property
    def is_calm(self) -> bool:
        """Whether there is nothing to say of an integration."""
        return self.is_at_rest and not self.letters

    @property
    def is_at_rest(self) -> bool:
        """Whether an integration's state is none to do something about: one that is gone has left
        no event that waits.
        """
        has_ended = self.state == "gone" and not has_left(self.lane, self.shares)
        return has_ended or self.state in _CALM

    @property
    def words(self) -> str:
        """An integration's state as pages say it: what does well now, and gave up events before, is
        not simply well.
        """
        if not self.is_at_rest or not self.letters:
            return self.state
        return f"{self.state}{' now' * (self.state == 'well')}, {number(self.letters)} dead"

    @property
    def listed_as(self) -> str:
        """The status word under which an integration is listed: `dead` where nothing is wrong but
        that dead letters are left.
        """
        return "dead" if self.is_at_rest and self.letters else self.state

    @property
    def case(self) -> str:
        """What is the case with an integration, in our words."""
        why = "" if self.state == "silent" else self.why
        return f"{why} {GIVEN_UP_BEFORE}".strip() if self.listed_as == "dead" else why

    @property
    def mark(self) -> str:
        """The status word whose mark and tone an integration has."""
        return "warning" if self.words != self.state else self.state


class Known(NamedTuple):
    """What the rows of integrations are made of at `now_ms` (ms since 1970), by integration each.
    `counts` are by `slots`, `lately` those of the last hour. `reads_files`: the directory can be
    read here. `in_need` are those that need somebody.
    """

    files: Mapping[str, FileFacts]
    lanes: Mapping[str, LaneAtAll]
    shares: Mapping[str, Shares]
    letters: Mapping[str, int]
    withdrawals: Mapping[str, OpenWithdrawals]
    counts: Mapping[str, Sequence[int]]
    lately: Mapping[str, Sequence[int]]
    slots: Slots
    now_ms: int
    reads_files: bool
    in_need: frozenset[str] = frozenset()
    unseen: Unseen = Unseen()


def rows_of(known: Known) -> list[IntegrationRow]:
    """A row for each integration, the worst first."""
    ids = {*known.files, *known.lanes, *known.shares} - {""}
    rows = [row_of(one, known) for one in ids]
    return sorted(rows, key=_by_trouble)


def _by_trouble(row: IntegrationRow) -> tuple[int, int, int, int, int, str]:
    """Where more withdrawals and more events wait is worse. What does well now and has dead letters
    comes before all that only does well.
    """
    is_left = row.is_at_rest and row.letters > 0
    place = STATES.index(row.listed_as)
    return (
        max(place, _FIRST_CALM + 1) if row.is_at_rest and not is_left else place,
        -row.withdrawals.waiting,
        -row.shares.waiting,
        -row.withdrawals.given_up if is_left else 0,
        -row.letters if is_left else 0,
        row.id,
    )


def row_of(integration: str, known: Known) -> IntegrationRow:
    """What is known of one integration, which may be nothing."""
    file, lane = known.files.get(integration), known.lanes.get(integration)
    shares, counts = known.shares.get(integration, Shares()), known.counts.get(integration, ())
    state = _state(file, lane, any(known.lately.get(integration, ())), known.reads_files)
    letters = known.letters.get(integration, 0)
    return IntegrationRow(
        integration,
        state,
        file,
        lane,
        _why(state, file, lane, shares),
        shares,
        letters,
        known.withdrawals.get(integration, OpenWithdrawals()),
        counts,
        rate_now(counts, known.slots, known.now_ms),
        integration in known.in_need,
        known.unseen.of_integration(shares.waiting, letters),
    )


def _state(
    file: FileFacts | None, lane: LaneAtAll | None, has_traffic: bool, reads_files: bool
) -> str:
    if lane is not None and lane.state in HARD:
        return lane.state
    if file is None:
        return "gone" if reads_files else "well" if has_traffic else "silent"
    if file.why_invalid and not (file.lacks_secrets and lane is not None):
        return "invalid"
    if file.state != "enabled":
        return file.state
    if lane is not None and lane.state != "well":
        return lane.state
    return "well" if has_traffic else "silent"


_WHY: Final[Mapping[str, str]] = {
    "gone": "There is no file of it any more, and nothing waits for it.",
    "paused": "Its file says so; its events are parked until that is taken back.",
    "silent": "No event came for it within the last hour.",
    "disabled": "Its file says so; events of its organization are skipped for it.",
    "slowed": "Its endpoint is slower than events come; what finds no room is parked.",
    "failing": "Its endpoint gave no good answer lately; one event at a time tries it.",
    "blocked": "Its set-up is at fault; its events are parked, and one at a time tries again.",
}


def _why(state: str, file: FileFacts | None, lane: LaneAtAll | None, shares: Shares) -> str:
    if state == "gone" and has_left(lane, shares):
        return WHY_GONE
    if state == "invalid" and file is not None:
        return file.why_invalid
    if lane is not None and lane.state == state and (said := sentence_of(lane.error)):
        return said
    return _WHY.get(state, "")


def counts_by_state(rows: Iterable[IntegrationRow]) -> list[tuple[str, int]]:
    """How many integrations are in which state, the worst first; states of none are left out."""
    counts = Counter(one.listed_as for one in rows)
    return [(one, counts[one]) for one in STATES if counts[one]]


def headline(rows: Sequence[IntegrationRow], in_need: frozenset[str]) -> str:
    """One sentence for the page of the integrations, of which those `in_need` need somebody."""
    if not rows:
        return "No integration is configured."
    given_up = sum(one.withdrawals.given_up for one in rows)
    is_least = any(one.unseen.dead or one.withdrawals.unread_dead for one in rows)
    if not in_need and given_up:
        return given_up_sentence(given_up, is_least=is_least)
    if not in_need:
        return (
            f"None of {len(rows):,} integrations needs you."
            if len(rows) > 1
            else (f"{rows[0].id} does not need you.")
        )
    if len(in_need) == 1:
        return f"{next(iter(in_need))} needs you, of {len(rows):,} integrations."
    return f"{len(in_need):,} of {len(rows):,} integrations need you."
