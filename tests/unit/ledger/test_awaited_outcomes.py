"""Of each event that a door has received an outcome is awaited, and missed once overtaken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from devtools.made_receipts import MadeWorker, made_now_ms, receipt, state
from devtools.stack import event
from tests.unit.ledger.ledger_file import LedgerFile, ledger_file
from tests.unit.ledger.made_acts import made_act, put_on_record
from worker.broker.dead_letter import DeadLetter
from worker.evidence.receipt import Receipt
from worker.evidence.signing import Keyring
from worker.ledger.awaited_outcomes import CHECKED_AT_ONCE, awaited, check_awaited
from worker.ledger.conservation import (
    OVERDUE_MS,
    SILENT_MS,
    WHY_OVERTAKEN,
    Awaited,
    Conservation,
    Overtaken,
)
from worker.ledger.explained_events import CLOCKS_MS
from worker.ledger.overview import overview
from worker.ledger.records import Start
from worker.ledger.records_into_tables import TakingIn
from worker.ledger.retention import prune
from worker.ledger.schema import CHAINS
from worker.ledger.schema_awaited import AWAITED
from worker.letters.ledger_pass import seen_letter
from worker.letters.letter_events import LetterEvent
from worker.letters.letter_key import LetterKeys
from worker.ordering.user_digests import UserKeys

NOW: Final = made_now_ms()
KEYS: Final = LetterKeys(UserKeys(b"k" * 32))
LONG_AGO: Final = NOW - 2 * OVERDUE_MS


def _received(event: str, at: int = LONG_AGO, **changes: Any) -> Receipt:
    usual: dict[str, Any] = {
        "outcome": "received",
        "integration": "",
        "attributes": {},
        "choice": None,
    }
    return receipt(event, at=at, **(usual | changes))


def _letter(replays: int, integration: str | None) -> LetterEvent:
    letter = DeadLetter(
        "l", "poison", integration, None, None, None, 0, None, NOW, replays, None, None, 9
    )
    return LetterEvent(letter, {}, json.dumps(event("org-shop", "lena")).encode())


class _Fleet:
    """A door, a worker and the ledger that reads both."""

    def __init__(self, ledger: LedgerFile) -> None:
        self.ledger = ledger
        self._door, self._worker = MadeWorker("door:1"), MadeWorker()

    def came(self, *receipts: Receipt) -> None:
        self.ledger.take(self._door.receipts(receipts))

    def ended(self, *receipts: Receipt) -> None:
        self.ledger.take(self._worker.receipts(receipts))

    def later_ones_end(self) -> None:
        """An event of this moment has come, and was delivered."""
        self.came(_received("later", NOW))
        self.ended(receipt("later", at=NOW))

    def tells(self, at: int = NOW, **said: Any) -> None:
        """The worker writes its state."""
        self.ledger.take(self._worker.chain.message("state", [state(**said)], at))

    @property
    def awaited(self) -> Awaited:
        with self.ledger.transaction() as connection:
            return awaited(connection, made_now_ms())

    @property
    def conservation(self) -> Conservation:
        with self.ledger.transaction() as connection:
            return overview(connection, made_now_ms()).conservation

    def check(self) -> int:
        with self.ledger.transaction() as connection:
            return check_awaited(connection, NOW + 1)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[_Fleet]:
    with ledger_file(tmp_path) as ledger:
        yield _Fleet(ledger)


def test_an_event_is_awaited_until_a_worker_tells_of_it(fleet: _Fleet) -> None:
    fleet.came(_received("ev-1"), _received("ev-2"))
    assert fleet.awaited == Awaited(2)
    fleet.ended(receipt("ev-1"))
    assert fleet.awaited == Awaited(1)
    fleet.ended(receipt("ev-2"))
    assert fleet.awaited == Awaited()
    assert fleet.ledger.count(AWAITED) == 0


@pytest.mark.parametrize(
    "outcome",
    [
        {"outcome": "skipped", "reason": "no-integration", "integration": ""},
        {"outcome": "skipped", "reason": "guest"},
        {"outcome": "parked", "reason": "paused", "due_at": NOW},
        {"outcome": "parked", "reason": "in-doubt", "due_at": NOW, "integration": ""},
        {"outcome": "retried", "reason": "timeout", "due_at": NOW},
        {"outcome": "dead", "reason": "no-identity"},
    ],
    ids=lambda one: f"{one['outcome']} {one['reason']}",
)
def test_whatever_became_of_it_is_an_outcome(fleet: _Fleet, outcome: dict[str, Any]) -> None:
    fleet.came(_received("ev-1"))
    fleet.ended(receipt("ev-1", **outcome))
    fleet.later_ones_end()
    assert fleet.awaited == Awaited()


def test_what_waits_on_the_queue_is_not_overtaken_however_long_it_waits(fleet: _Fleet) -> None:
    fleet.came(*(_received(f"ev-{number}", LONG_AGO + number) for number in range(9)))
    assert fleet.awaited == Awaited(9)
    fleet.ended(receipt("ev-0", at=NOW))
    assert fleet.awaited == Awaited(8), "the next ones came a moment later"


def test_what_later_ones_have_overtaken_is_told_by_organization(fleet: _Fleet) -> None:
    fleet.came(
        _received("ev-1", organization="acme"),
        _received("ev-2", LONG_AGO - 5, organization="acme"),
        _received("ev-3", organization="bank"),
        _received("ev-4", NOW - 9, organization="bank"),
    )
    fleet.later_ones_end()
    overtaken = (
        Overtaken("acme", 2, LONG_AGO - 5, ("ev-1", "ev-2")),
        Overtaken("bank", 1, LONG_AGO, ("ev-3",)),
    )
    assert fleet.awaited == Awaited(4, overtaken)
    fleet.ended(receipt("ev-1"), receipt("ev-2"))
    assert fleet.awaited == Awaited(2, overtaken[1:]), "an outcome may come late"


def test_one_outcome_at_any_of_several_integrations_is_enough(fleet: _Fleet) -> None:
    fleet.came(_received("ev-1"))
    fleet.ended(receipt("ev-1", integration="press"), receipt("ev-1", integration="shop"))
    fleet.later_ones_end()
    assert fleet.awaited == Awaited()


@pytest.mark.parametrize("is_checked", [True, False], ids=["checked", "not checked yet"])
def test_an_outcome_that_is_read_before_the_receipt_of_the_door_counts(
    fleet: _Fleet, is_checked: bool
) -> None:
    fleet.ended(receipt("ev-1", updated_at=7), receipt("ev-2", updated_at=7, delivery=1))
    fleet.came(*(_received(f"ev-{number}", updated_at=7) for number in (1, 2, 3)))
    fleet.later_ones_end()
    if is_checked:
        assert fleet.check() == 3
        assert fleet.check() == 0
        assert fleet.ledger.count(AWAITED) == 1
    assert fleet.awaited == Awaited(1, (Overtaken("org-shop", 1, LONG_AGO, ("ev-3",)),))


def test_an_outcome_of_another_update_of_the_event_is_none_of_this(fleet: _Fleet) -> None:
    fleet.ended(receipt("ev-1", updated_at=7))
    fleet.came(_received("ev-1", updated_at=8))
    fleet.ended(receipt("ev-1", updated_at=9))
    fleet.later_ones_end()
    fleet.check()
    assert fleet.awaited.overtaken == (Overtaken("org-shop", 1, LONG_AGO, ("ev-1",)),)


def test_an_event_that_comes_twice_is_awaited_once(fleet: _Fleet) -> None:
    fleet.came(_received("ev-1"), _received("ev-1"))
    fleet.came(_received("ev-1"))
    assert fleet.awaited.events == 1
    fleet.ended(receipt("ev-1"))
    fleet.came(_received("ev-1"))
    fleet.ended(receipt("ev-1", outcome="skipped", reason="duplicate"))
    fleet.later_ones_end()
    assert fleet.awaited == Awaited()


def test_door_and_worker_may_be_read_at_once_in_either_order(fleet: _Fleet) -> None:
    door, worker = MadeWorker("door:2"), MadeWorker("host:2")
    fleet.ledger.take(
        worker.receipts([receipt("ev-1")]),
        door.receipts([_received("ev-1"), _received("ev-2")]),
        worker.receipts([receipt("ev-2")]),
    )
    assert fleet.ledger.count(AWAITED) == 0


@pytest.mark.parametrize("replays", [0, 1, 99])
@pytest.mark.parametrize("integration", [None, "shop"])
def test_a_dead_letter_without_a_receipt_is_an_outcome(
    fleet: _Fleet, replays: int, integration: str | None
) -> None:
    lettered = _letter(replays, integration)
    name, updated_at = KEYS.named(lettered.body)
    fleet.came(_received(name, updated_at=updated_at))
    fleet.later_ones_end()
    fleet.check()
    assert fleet.awaited.overtaken
    taking_in = fleet.ledger.taking_in
    taking_in.put_letters(taking_in.begin_letters(), [seen_letter(lettered, KEYS)], NOW)
    assert fleet.awaited == Awaited()


@pytest.mark.parametrize("replays", [0, 1])
@pytest.mark.parametrize("integration", [None, "press", "shop"])
def test_a_letter_that_is_discarded_before_a_pass_is_an_outcome(
    fleet: _Fleet, replays: int, integration: str | None
) -> None:
    lettered = _letter(replays, integration)
    name, updated_at = KEYS.named(lettered.body)
    fleet.came(_received(name, updated_at=updated_at))
    fleet.came(_received(name, LONG_AGO + 1, updated_at=(updated_at or 0) + 1))
    fleet.later_ones_end()
    part = made_act(1, stage="part", integration="press")
    other = made_act(2, stage="going", lives=(KEYS.key_of(lettered).hex(),))
    put_on_record(fleet.ledger, part._replace(lives=("0" * 32,)), other)
    assert fleet.awaited.events == 2, "it is in the queue as far as anybody knows"
    put_on_record(fleet.ledger, part._replace(lives=(KEYS.key_of(lettered).hex(),)))
    assert fleet.awaited == Awaited(1, (Overtaken("org-shop", 1, LONG_AGO + 1, (name,)),)), (
        "the other update of the event is not discarded"
    )


def test_more_than_one_look_takes_are_all_looked_at(fleet: _Fleet) -> None:
    events = [f"ev-{number}" for number in range(CHECKED_AT_ONCE + 5)]
    fleet.ended(*(receipt(one) for one in events))
    fleet.came(*(_received(one) for one in events))
    assert [fleet.check(), fleet.check(), fleet.check()] == [CHECKED_AT_ONCE, 5, 0]
    assert fleet.awaited == Awaited()


def test_what_nobody_has_looked_at_is_not_named(fleet: _Fleet) -> None:
    events = [f"ev-{number}" for number in range(CHECKED_AT_ONCE + 200)]
    fleet.ended(*(receipt(one) for one in events))
    fleet.came(*(_received(one) for one in events), _received("lost", LONG_AGO + 1))
    fleet.later_ones_end()
    assert fleet.awaited.overtaken == ()
    while fleet.check():
        pass
    assert fleet.awaited == Awaited(1, (Overtaken("org-shop", 1, LONG_AGO + 1, ("lost",)),))


@pytest.mark.parametrize(
    "start",
    [Start(99, is_recreated=False, lost=90), Start(0, is_recreated=True)],
    ids=["truncated", "recreated"],
)
def test_what_became_of_an_event_may_be_in_the_lost_part_of_the_stream(
    fleet: _Fleet, start: Start
) -> None:
    fleet.came(_received("missing", LONG_AGO - 2 * OVERDUE_MS), _received("ended", LONG_AGO))
    fleet.came(_received("unknown", LONG_AGO + 1))
    retried = {"outcome": "retried", "reason": "timeout", "due_at": LONG_AGO + 1}
    fleet.ended(receipt("ended", at=LONG_AGO), receipt("waiting", at=LONG_AGO, **retried))
    fleet.ledger.taking_in.begin(start, NOW)
    fleet.ledger.offset = start.offset
    fleet.later_ones_end()
    said = fleet.conservation
    assert [(one.events, one.why) for one in said.missing] == [(1, WHY_OVERTAKEN)]
    assert said.awaited.overtaken[0].first_ones == ("missing",)
    assert said.total.waiting == 1
    fleet.came(_received("lost", LONG_AGO + 2))
    fleet.ended(receipt("waiting", at=LONG_AGO + 1, **retried))
    assert sum(one.events for one in fleet.conservation.missing) == 3, "what comes is followed"


def test_as_many_may_be_outcomes_without_a_receipt_as_workers_told_of(fleet: _Fleet) -> None:
    fleet.came(*(_received(f"ev-{number}", LONG_AGO + number) for number in range(5)))
    fleet.later_ones_end()
    fleet.tells(unreceipted={"shop": 2, "": 1})
    assert fleet.conservation.awaited.overtaken == (
        Overtaken("org-shop", 2, LONG_AGO + 3, ("ev-3", "ev-4")),
    )
    fleet.tells(unreceipted={"shop": 4, "": 1})
    assert fleet.conservation.adds_up
    assert fleet.conservation.awaited == Awaited(5)


def test_an_outcome_without_a_receipt_explains_no_event_that_came_later(fleet: _Fleet) -> None:
    before, after = LONG_AGO - 2 * CLOCKS_MS, LONG_AGO + 2 * CLOCKS_MS
    fleet.came(_received("ev-1", before), _received("ev-2", after), _received("ev-3", after))
    fleet.later_ones_end()
    fleet.tells(LONG_AGO, unreceipted={"shop": 9})
    fleet.tells(NOW, unreceipted={"shop": 9})
    (lost,) = fleet.conservation.awaited.overtaken
    assert (lost.events, lost.since, set(lost.first_ones)) == (2, after, {"ev-2", "ev-3"})
    other = MadeWorker("host:2").chain
    fleet.ledger.take(other.message("state", [state(unreceipted={"shop": 1})], after))
    assert sum(one.events for one in fleet.conservation.awaited.overtaken) == 1


def test_a_state_that_this_version_can_not_read_holds_up_nothing(fleet: _Fleet) -> None:
    fleet.came(_received("ev-1"))
    fleet.later_ones_end()
    fleet.tells(unreceipted={"shop": 7})
    with fleet.ledger.transaction() as connection:
        connection.execute(CHAINS.update().values(state="{}", unreceipted_at=None))
    fleet.ledger.taking_in = TakingIn(fleet.ledger.database, Keyring())
    assert not fleet.conservation.adds_up
    fleet.tells(unreceipted={"shop": 7})
    assert fleet.conservation.adds_up


def test_what_a_worker_holds_is_not_lost_while_others_go_on(fleet: _Fleet) -> None:
    fleet.came(_received("lost", LONG_AGO - 2 * CLOCKS_MS))
    fleet.came(*(_received(f"ev-{number}", LONG_AGO + number) for number in range(3)))
    fleet.later_ones_end()
    lost = Overtaken("org-shop", 1, LONG_AGO - 2 * CLOCKS_MS, ("lost",))
    for in_hand, named in ((9, 1), (3, 1), (2, 2), (0, 4)):
        fleet.tells(taken=9, settled=9 - in_hand, oldest_event_at=LONG_AGO)
        assert sum(one.events for one in fleet.conservation.awaited.overtaken) == named
    fleet.tells(taken=9, settled=0, oldest_event_at=LONG_AGO)
    assert fleet.conservation.awaited.overtaken == (lost,)
    fleet.tells(taken=9, settled=0, oldest_event_at=NOW)
    assert fleet.conservation.awaited.overtaken[0].events == 4, "it holds what came now"
    fleet.tells(taken=9, settled=0, oldest_event_at=None)
    assert fleet.conservation.awaited.overtaken[0].events == 4


def test_a_worker_that_is_silent_holds_nothing(fleet: _Fleet) -> None:
    fleet.came(_received("ev-1"))
    held = {"taken": 9, "settled": 0, "oldest_event_at": LONG_AGO}
    silent = MadeWorker("host:2").chain
    at = NOW - SILENT_MS - 1
    fleet.ledger.take(silent.message("state", [state(**held)], at))
    fleet.later_ones_end()
    assert not fleet.conservation.adds_up
    fleet.ledger.take(silent.message("state", [state(**held)], at + 1))
    assert fleet.conservation.adds_up, "the ledger has heard nothing that is later by a minute"


def test_what_is_held_and_what_has_no_receipt_explain_as_many_together(fleet: _Fleet) -> None:
    fleet.came(*(_received(f"ev-{number}", LONG_AGO + number) for number in range(5)))
    fleet.later_ones_end()
    told = {"taken": 9, "settled": 7, "oldest_event_at": LONG_AGO}
    fleet.tells(**told, unreceipted={"shop": 2})
    assert fleet.conservation.awaited.overtaken == (
        Overtaken("org-shop", 1, LONG_AGO + 2, ("ev-2",)),
    )
    fleet.tells(**told, unreceipted={"shop": 4})
    assert fleet.conservation.adds_up


def test_receipts_that_a_door_lacks_explain_nothing(fleet: _Fleet) -> None:
    fleet.came(_received("ev-1"))
    fleet.later_ones_end()
    fleet.ledger.take(MadeWorker("door:2").state(state(received=3, unreceipted={"": 7})))
    assert not fleet.conservation.adds_up


def test_nothing_is_awaited_beyond_the_retention(fleet: _Fleet) -> None:
    fleet.came(_received("ev-1"))
    with fleet.ledger.transaction() as connection:
        while prune(connection, NOW):
            pass
    assert fleet.awaited == Awaited()
