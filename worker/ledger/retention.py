"""Takes out of the ledger what is older than its retention, a little at a time."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

from worker.ledger.database import portions
from worker.ledger.lost_before import LOST_BEFORE
from worker.ledger.minutes import MINUTE_MS
from worker.ledger.parked_again_events import PARKED_AGAIN
from worker.ledger.schema import ACTS, CHAINS, FINDINGS, LIVES, MESSAGES, MINUTES, RECEIPTS
from worker.ledger.schema_awaited import AWAITED
from worker.ledger.schema_letters import LETTERS
from worker.ledger.stored_receipts import key_of_life, stored

MESSAGES_AT_ONCE: Final = 100


def prune(connection: Connection, before_ms: int) -> int:
    """Delete the oldest messages of before then (ms since 1970), with their receipts and the lives
    that have no later one and no letter in the queue; gives how many messages. 0: there is nothing
    more to delete.

    Balances go on counting what is deleted: they are what there was since the ledger began.
    """
    oldest = select(MESSAGES.c.id, MESSAGES.c.at).order_by(MESSAGES.c.id).limit(MESSAGES_AT_ONCE)
    last = 0
    deleted = 0
    for number, at in connection.execute(oldest):
        if at >= before_ms:
            break
        last = number
        deleted += 1
    if not deleted:
        connection.execute(MINUTES.delete().where(MINUTES.c.minute < before_ms // MINUTE_MS))
        connection.execute(FINDINGS.delete().where(FINDINGS.c.last_at < before_ms))
        connection.execute(CHAINS.delete().where(CHAINS.c.last_at < before_ms))
        connection.execute(PARKED_AGAIN.delete().where(PARKED_AGAIN.c.due_at < before_ms))
        connection.execute(AWAITED.delete().where(AWAITED.c.at < before_ms))
        is_old = (LIVES.c.last_id == 0) & (LIVES.c.at < before_ms)
        connection.execute(
            LIVES.delete().where(is_old, LIVES.c.life.not_in(select(LETTERS.c.life)))
        )
        return 0
    _delete_receipts(connection, last)
    connection.execute(ACTS.delete().where(ACTS.c.message_id <= last))
    connection.execute(LOST_BEFORE.delete().where(LOST_BEFORE.c.message_id <= last))
    connection.execute(MESSAGES.delete().where(MESSAGES.c.id <= last))
    return deleted


def has_first_message(connection: Connection) -> bool:
    """Whether the ledger has all messages that it ever took. Else a chain may be known no more that
    was silent for as long as anything is kept.
    """
    return connection.execute(select(func.min(MESSAGES.c.id))).scalar() == 1


def pruned_until(connection: Connection) -> int:
    """Of before then (ms since 1970) the ledger had messages that are deleted; 0 where none is."""
    oldest = select(MESSAGES.c.id, MESSAGES.c.at).order_by(MESSAGES.c.id).limit(1)
    found = connection.execute(oldest).first()
    return 0 if found is None or found.id == 1 else int(found.at)


def _delete_receipts(connection: Connection, last_message: int) -> None:
    """Those of messages up to this one. Receipts are numbered in the order of their messages."""
    following = (
        select(MESSAGES.c.first_receipt_id)
        .where(MESSAGES.c.id > last_message, MESSAGES.c.first_receipt_id.is_not(None))
        .order_by(MESSAGES.c.id)
        .limit(1)
    )
    end = connection.execute(following).scalar()
    old = RECEIPTS.c.message_id <= last_message if end is None else RECEIPTS.c.id < end
    rows = connection.execute(select(RECEIPTS).where(old).order_by(RECEIPTS.c.id)).all()
    keys = [
        one.raw or b"" if one.is_blanked else key_of_life(one.receipt)
        for one in stored(connection, rows)
    ]
    for some in portions(keys):
        theirs = LIVES.c.life.in_(some)
        if end is not None:
            theirs &= LIVES.c.last_id < end
        lies_there = LIVES.c.life.in_(select(LETTERS.c.life))
        connection.execute(LIVES.update().where(theirs, lies_there).values(last_id=0))
        connection.execute(LIVES.delete().where(theirs, ~lies_there))
    connection.execute(RECEIPTS.delete().where(old))
