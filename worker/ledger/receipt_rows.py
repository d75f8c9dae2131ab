"""The rows that the receipts of one transaction make: receipts, lives, balances and minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from worker.evidence.receipt import Receipt, encode_receipt
from worker.ledger.database import insert_all, put_all
from worker.ledger.dictionary import Dictionary
from worker.ledger.letter_groups import LetterGroups
from worker.ledger.lives import DEAD, DELIVERED, RETRIED, WAITING, Life, merged
from worker.ledger.packing import (
    CHOICE_NUMBERS,
    OUTCOME_NUMBERS,
    life_key,
    pack_attributes,
    pack_event,
    pack_user,
    user_prefix,
)
from worker.ledger.schema import BALANCES, LIVES, MINUTES, RECEIPTS

_AT_ONCE: Final = 500
_NO_CHOICE: Final = -1
_MINUTE_MS: Final = 60_000


class PackedReceipt(NamedTuple):
    """A receipt, ready for its row, and where it stands: the place in its message."""

    receipt: Receipt
    message_id: int
    place: int
    event: bytes
    user: bytes | None
    paths: str
    said: str
    xaction: str | None
    life: bytes
    raw: bytes | None

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of which the row has the numbers."""
        one = self.receipt
        names = (one.integration, one.organization, one.reason, one.config)
        return (self.paths, *map(without_nul, names))


def pack(receipt: Receipt, row: bytes, message_id: int, place: int) -> PackedReceipt:
    """`row` is what the receipt was read from; it is kept where its columns do not tell it."""
    event = pack_event(receipt.event)
    user = pack_user(receipt.user)
    paths, said = pack_attributes(receipt.attributes)
    is_told = encode_receipt(receipt) == row and (user is not None or receipt.user is None)
    is_plain = b"\\u0000" not in row
    return PackedReceipt(
        receipt,
        message_id,
        place,
        event,
        user,
        paths,
        said,
        None if receipt.xaction is None else without_nul(receipt.xaction),
        life_key(event, receipt.updated_at, receipt.integration, receipt.delivery),
        None if is_told and is_plain else row,
    )


def without_nul(text: str) -> str:
    """`text` as every database takes it."""
    return text.replace("\0", "\ufffd")


class ReceiptRows:
    """For the one writer. `forget` is to be called when a transaction was not kept."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary
        self._groups = LetterGroups()
        self._next_id = 0

    def forget(self) -> None:
        """Read everything again."""
        self._next_id = 0
        self._groups.forget()

    def write(self, connection: Connection, packed: Sequence[PackedReceipt]) -> None:
        """Write all that these receipts, in the order of the stream, tell."""
        if not packed:
            return
        if not self._next_id:
            highest = connection.execute(select(func.max(RECEIPTS.c.id))).scalar()
            self._next_id = (highest or 0) + 1
        ids = self._dictionary.ids_of(connection, {text for one in packed for text in one.texts})
        lives = _lives_of(connection, {one.life for one in packed})
        before = dict(lives)
        rows: list[tuple[Any, ...]] = []
        minutes: dict[tuple[int, ...], list[int]] = {}
        for one in packed:
            life = lives.get(one.life)
            rows.append(_row(one, self._next_id, ids, life))
            newer = self._as_life(connection, one, ids, life)
            lives[one.life] = merged(life, newer)
            _count_minute(minutes, one.receipt, newer)
            self._next_id += 1
        insert_all(connection, RECEIPTS, rows)
        put_all(connection, LIVES, [(key, *life) for key, life in lives.items()])
        _write_balances(connection, before, lives)
        _write_minutes(connection, minutes)

    def _as_life(
        self, connection: Connection, one: PackedReceipt, ids: dict[str, int], life: Life | None
    ) -> Life:
        receipt = one.receipt
        outcome = OUTCOME_NUMBERS[receipt.outcome]
        integration_id = ids[without_nul(receipt.integration)]
        reason_id = ids[without_nul(receipt.reason)]
        group_id = None
        if outcome == DEAD:
            # The error of the attempt before it was given up; most reasons tell it themselves.
            error_id = life.reason_id if life is not None and life.outcome == RETRIED else reason_id
            config_id = ids[without_nul(receipt.config)]
            group = (integration_id, reason_id, error_id, receipt.status, config_id)
            group_id = self._groups.id_of(connection, group)
        return Life(
            integration_id=integration_id,
            user=user_prefix(one.user),
            outcome=outcome,
            reason_id=reason_id,
            at=receipt.at,
            due_at=(receipt.due_at or receipt.at) if outcome in WAITING else None,
            group_id=group_id,
            last_id=self._next_id,
        )


def _row(
    one: PackedReceipt, number: int, ids: dict[str, int], life: Life | None
) -> tuple[Any, ...]:
    """In the order of the columns."""
    receipt = one.receipt
    return (
        number,
        one.message_id,
        one.place,
        None if life is None else life.last_id,
        one.event,
        receipt.updated_at,
        ids[without_nul(receipt.integration)],
        ids[without_nul(receipt.organization)],
        receipt.delivery,
        OUTCOME_NUMBERS[receipt.outcome],
        ids[without_nul(receipt.reason)],
        receipt.attempt,
        one.user,
        None if receipt.choice is None else CHOICE_NUMBERS[receipt.choice],
        ids[one.paths],
        one.said,
        receipt.event_at,
        receipt.due_at,
        receipt.status,
        one.xaction,
        ids[without_nul(receipt.config)],
        receipt.at,
        one.raw,
        None,
    )


def _lives_of(connection: Connection, keys: Iterable[bytes]) -> dict[bytes, Life]:
    """Those that are there already."""
    wanted = sorted(keys)  # in the order in which they lie on the disk
    found: dict[bytes, Life] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        for key, *rest in connection.execute(select(LIVES).where(LIVES.c.life.in_(some))):
            found[bytes(key)] = Life(*rest)
    return found


def _write_balances(
    connection: Connection, before: dict[bytes, Life], now: dict[bytes, Life]
) -> None:
    changes: Counter[tuple[int, int]] = Counter()
    for key, life in now.items():
        old = before.get(key)
        if old is not None:
            changes[old.integration_id, old.outcome] -= 1
        changes[life.integration_id, life.outcome] += 1
    integrations = {integration_id for integration_id, _ in changes}
    query = select(BALANCES).where(BALANCES.c.integration_id.in_(integrations))
    counts = {(one, outcome): lives for one, outcome, lives in connection.execute(query)}
    rows = [(*place, counts.get(place, 0) + change) for place, change in changes.items() if change]
    put_all(connection, BALANCES, rows)


def _count_minute(minutes: dict[tuple[int, ...], list[int]], receipt: Receipt, life: Life) -> None:
    choice = _NO_CHOICE if receipt.choice is None else CHOICE_NUMBERS[receipt.choice]
    place = (
        receipt.at // _MINUTE_MS,
        life.integration_id,
        life.outcome,
        life.reason_id,
        choice,
    )
    lag = 0
    if life.outcome == DELIVERED and receipt.event_at is not None:
        lag = max(0, receipt.at - receipt.event_at)
    counts = minutes.setdefault(place, [0, 0, 0])
    counts[0] += 1
    counts[1] += lag
    counts[2] = max(counts[2], lag)


def _write_minutes(connection: Connection, minutes: dict[tuple[int, ...], list[int]]) -> None:
    query = select(MINUTES).where(MINUTES.c.minute.in_({place[0] for place in minutes}))
    for *place, receipts, lag_ms, most_lag_ms in connection.execute(query):
        counts = minutes.get(tuple(place))
        if counts is not None:
            counts[0] += receipts
            counts[1] += lag_ms
            counts[2] = max(counts[2], most_lag_ms)
    put_all(connection, MINUTES, [(*place, *counts) for place, counts in minutes.items()])
