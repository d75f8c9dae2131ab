"""The rows that the receipts of one transaction make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from worker.evidence.receipt import Receipt
from worker.fast_tuples import new_tuple
from worker.ledger.awaited_outcomes import Received, are_awaited, await_outcomes
from worker.ledger.conservation import OVERDUE_MS
from worker.ledger.database import highest_id, insert_all
from worker.ledger.dictionary import Dictionary
from worker.ledger.fleet_clocks import by_our_clock
from worker.ledger.letter_group_key import Group, LetterGroups
from worker.ledger.life import DEAD, RETRIED, WAITING, Life, merged
from worker.ledger.life_rows import LifeRows, are_in_doubt, put_behind
from worker.ledger.minutes import count_minute, write_minutes
from worker.ledger.packing import (
    CHOICE_NUMBERS,
    NO_PATHS,
    OUTCOME_NUMBERS,
    life_key,
    pack_attributes,
    pack_cause,
    pack_event,
    pack_user,
    received_key,
    user_prefix,
)
from worker.ledger.schema import RECEIPTS

_NUL: Final = b"\\u0000"
"""How JSON writes it."""


class PackedReceipt(NamedTuple):
    """A receipt, ready for its row, and its place in its message. `texts` are those that the row
    has by their numbers: integration, organization, reason, configuration, the paths of what it
    said, and what went wrong. `at` is when it was written, in ms since 1970, see `by_our_clock`.
    """

    receipt: Receipt
    message_id: int
    place: int
    event: bytes
    user: bytes | None
    texts: tuple[str, str, str, str, str, str]
    said: str
    xaction: str | None
    life: bytes
    raw: bytes | None
    at: int


def pack(
    receipt: Receipt, row: bytes, message_id: int, place: int, now_ms: int, *, is_told: bool
) -> PackedReceipt:
    """A receipt for its row, read at `now_ms` (ms since 1970). `row` is what it was read from, and
    is kept where it can't be written again: where it `is_told` by the receipt, and that by its
    columns, it can.
    """
    told = receipt
    if _NUL in row:
        told, is_told = _without_nul(receipt), False
    event = pack_event(told.event)
    user = pack_user(told.user)
    paths, said = pack_attributes(told.attributes)
    cause = pack_cause(told.error, told.code, told.field)
    if user is None and told.user is not None:
        is_told = False
    texts = (told.integration, told.organization, told.reason, told.config, paths, cause)
    life = life_key(event, told.updated_at, told.integration, told.delivery)
    raw = None if is_told else row
    at = by_our_clock(told.at, now_ms)
    values = (told, message_id, place, event, user, texts, said, told.xaction, life, raw, at)
    return new_tuple(PackedReceipt, values)


def _without_nul(receipt: Receipt) -> Receipt:
    return receipt._replace(
        event=without_nul(receipt.event),
        integration=without_nul(receipt.integration),
        organization=without_nul(receipt.organization),
        reason=without_nul(receipt.reason),
        config=without_nul(receipt.config),
        xaction=None if receipt.xaction is None else without_nul(receipt.xaction),
        attributes={without_nul(path): said for path, said in receipt.attributes.items()},
        error=None if receipt.error is None else without_nul(receipt.error),
        code=None if receipt.code is None else without_nul(receipt.code),
        field=None if receipt.field is None else without_nul(receipt.field),
    )


def without_nul(text: str) -> str:
    """`text` as every database takes it."""
    return text.replace("\0", "\ufffd")


class ReceiptRows:
    """The rows of receipts, for the one writer. Call `forget` when a transaction was not kept."""

    def __init__(self, dictionary: Dictionary, groups: LetterGroups) -> None:
        self._dictionary = dictionary
        self._groups = groups
        self._next_id = 0

    def forget(self) -> None:
        """Read the number of the last receipt again."""
        self._next_id = 0

    def next_id(self, connection: Connection) -> int:
        """The number that the next receipt gets."""
        if not self._next_id:
            self._next_id = highest_id(connection, RECEIPTS) + 1
        return self._next_id

    def write(self, connection: Connection, packed: Sequence[PackedReceipt]) -> None:
        """Write all that these receipts, in the order of the stream, tell."""
        if not packed:
            return
        kinds = {one.texts for one in packed}  # most come again and again
        texts = {text for kind in kinds for text in kind}
        texts |= {one.receipt.error for one in packed if one.receipt.error is not None}
        ids = self._dictionary.ids_of(connection, {*texts, "", NO_PATHS})
        numbers_of = {kind: tuple([ids[text] for text in kind]) for kind in kinds}
        doubts = self._doubts(connection, packed, ids[""])
        lives = LifeRows(connection, {one.life for one in packed} | set(doubts.values()))
        rows: list[tuple[Any, ...]] = []
        minutes: dict[tuple[int, ...], list[int]] = {}
        received: dict[bytes, Received] = {}
        concluded: set[bytes] = set()
        joined: list[tuple[int, int]] = []  # last receipts, of a doubt and of the life before it
        is_awaited = are_awaited(connection) or any(_is_received(one) for one in packed)
        number = self.next_id(connection)
        for one in packed:
            life = before = lives.get(one.life)
            if one.receipt.integration and (doubt := doubts.get(one.life)) is not None:
                before = lives.take_doubt(doubt) or life
                if before and life and before is not life:
                    joined.append((before.last_id, life.last_id))
            numbers = numbers_of[one.texts]
            rows.append(_row(one, number, numbers, before))
            newer = self._as_life(connection, one, number, numbers, ids, life)
            if newer.user is None and before is not None:
                newer = newer._replace(user=before.user)
            lives.put(one.life, newer if life is None else merged(life, newer))
            count_minute(minutes, one.receipt, newer)
            if _is_received(one) and life is None:
                received[one.life] = Received(numbers[1], one.at, number)
            elif is_awaited and one.receipt.outcome not in ("received", "erased"):
                concluded.add(received_key(one.event, one.receipt.updated_at))
            number += 1
        self._next_id = number
        insert_all(connection, RECEIPTS, rows)
        for doubt_and_life in joined:
            put_behind(connection, *doubt_and_life)
        lives.write()
        write_minutes(connection, minutes)
        if is_awaited:
            await_outcomes(connection, received, concluded)

    def _doubts(
        self, connection: Connection, packed: Sequence[PackedReceipt], nobody_id: int
    ) -> dict[bytes, bytes]:
        """For each life the key of that of the same event without an integration, where any event
        waits like that.
        """
        is_any = any(
            not one.receipt.integration and OUTCOME_NUMBERS[one.receipt.outcome] in WAITING
            for one in packed
        )
        if not is_any and not are_in_doubt(connection, nobody_id):
            return {}
        return {
            one.life: life_key(one.event, one.receipt.updated_at, "", one.receipt.delivery)
            for one in packed
        }

    def _as_life(
        self,
        connection: Connection,
        one: PackedReceipt,
        number: int,
        numbers: Sequence[int],
        ids: Mapping[str, int],
        life: Life | None,
    ) -> Life:
        receipt = one.receipt
        integration_id, _, reason_id, config_id, _, _ = numbers
        outcome = OUTCOME_NUMBERS[receipt.outcome]
        group_id = None
        if outcome == DEAD:
            if receipt.error is not None:
                error_id = ids[receipt.error]
            else:  # of a worker that does not tell it: the attempt before it was given up does
                is_retried = life is not None and life.outcome == RETRIED
                error_id = life.reason_id if life is not None and is_retried else reason_id
            others = (receipt.status, config_id, receipt.code, receipt.field)
            group = Group(integration_id, reason_id, error_id, *others)
            group_id = self._groups.id_of(connection, group)
        due_at = None
        if outcome in WAITING:
            due_at = min(receipt.due_at or one.at, one.at + OVERDUE_MS)
        user = user_prefix(one.user)
        values = (integration_id, user, outcome, reason_id, one.at, due_at, group_id, number)
        return new_tuple(Life, values)


def _is_received(one: PackedReceipt) -> bool:
    return one.receipt.outcome == "received"


def _row(
    one: PackedReceipt, number: int, numbers: Sequence[int], life: Life | None
) -> tuple[Any, ...]:
    """In the order of the columns."""
    receipt = one.receipt
    integration_id, organization_id, reason_id, config_id, paths_id, cause_id = numbers
    return (
        number,
        one.message_id,
        one.place,
        None if life is None else life.last_id,
        one.event,
        receipt.updated_at,
        integration_id,
        organization_id,
        receipt.delivery,
        OUTCOME_NUMBERS[receipt.outcome],
        reason_id,
        receipt.attempt,
        one.user,
        None if receipt.choice is None else CHOICE_NUMBERS[receipt.choice],
        paths_id,
        one.said,
        receipt.event_at,
        receipt.due_at,
        receipt.status,
        one.xaction,
        config_id,
        receipt.at,
        one.raw,
        None,
        cause_id,
    )
