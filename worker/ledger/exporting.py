"""What an auditor gets: receipts, and all that is needed to check them without this program.

A line of JSON for each message of the time, so that the links of the chains can be followed. One
that has receipts that were asked for has its rows, too; of rows that were not asked for, and of
those that were blanked, there is the digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, select

from worker.evidence.exported_file import NOT_TOLD, RECEIPTS_FILE, FileKind
from worker.evidence.lost_messages import lost_between
from worker.ledger.lost_before import headings_before_lost
from worker.ledger.packing import unpack_digests
from worker.ledger.schema import CHAINS, MESSAGES, RECEIPTS
from worker.ledger.stored_receipts import StoredReceipt, stored

MESSAGES_AT_ONCE: Final = 50
HOW_TO_CHECK: Final = (
    "A message is a heading and rows. For each row take the SHA-256 of its UTF-8 text, or "
    "row_digest where the text is not here. The SHA-256 of all of these, 32 bytes each and in the "
    "order of their places, is the heading's digest. The heading's previous is the SHA-256 of the "
    "text of the heading before it, which has the same chain and a sequence smaller by one (64 "
    "zeros for sequence 0). Its mac is the HMAC-SHA256, by the secret of the operators, of the "
    "heading with an empty mac; who has that secret could have made all of it. "
    "Where a line has lost_before, the messages between the heading with the digest previous and "
    "its own fell with the stream's retention before they were read; its mac is that of the text "
    "'lost between X and Y' with X as previous and Y as the SHA-256 of the line's heading. But "
    f"{NOT_TOLD}."
)


class Selection(NamedTuple):
    """Which receipts an auditor gets, None for all: an integration, and times in ms since 1970 of
    the messages.
    """

    integration: str | None
    since: int | None
    until: int | None

    def has(self, one: StoredReceipt) -> bool:
        """Whether an auditor gets this receipt."""
        return self.integration in (None, one.receipt.integration)

    def may_be_in(self, message_id: int) -> bool:
        """Whether a message may have a receipt that the auditor gets."""
        return True

    @property
    def asked_for(self) -> dict[str, Any]:
        """The selection of receipts as the auditor's file says it."""
        return self._asdict()


class LifeSelection(NamedTuple):
    """The receipts of one life, by their numbers, and what their chains have from the first of them
    to the last, by the numbers of their messages. `life` is its key."""

    life: str
    receipts: frozenset[int]
    messages: frozenset[int]
    chains: frozenset[int]

    def has(self, one: StoredReceipt) -> bool:
        """Whether an auditor gets this receipt."""
        return one.id in self.receipts

    def may_be_in(self, message_id: int) -> bool:
        """Whether a message has a receipt that the auditor gets."""
        return message_id in self.messages

    @property
    def asked_for(self) -> dict[str, Any]:
        """The selection of a life's receipts as the auditor's file says it."""
        return {"life": self.life}


def life_selection(
    connection: Connection, life: bytes, steps: Sequence[StoredReceipt]
) -> LifeSelection:
    """The selection of a life's receipts, by its key and its steps, of which there are some."""
    messages = frozenset(one.message_id for one in steps)
    chains = select(MESSAGES.c.chain_id).where(MESSAGES.c.id.in_(messages))
    return LifeSelection(
        life.hex(),
        frozenset(one.id for one in steps),
        messages,
        frozenset(connection.execute(chains).scalars()),
    )


def export_file(
    connection: Connection, selection: Selection | LifeSelection, now_ms: int, secret: bytes
) -> Iterator[dict[str, Any]]:
    """All lines of an auditor's file of receipts: what it is, those of `export_lines`, and the
    totals, without which the file was cut short.
    """
    yield first_line(RECEIPTS_FILE, selection.asked_for, now_ms)
    messages = receipts = 0
    for line in export_lines(connection, selection, secret):
        receipts += receipts_in(line)
        messages += 1
        yield line
    yield last_line(messages, receipts)


def first_line(kind: FileKind, asked_for: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """What an auditor's file is, and how to check it."""
    return {
        "what": kind.what,
        "made_at": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(),
        "asked_for": asked_for,
        "how_to_check": HOW_TO_CHECK,
    }


def last_line(messages: int, receipts: int) -> dict[str, Any]:
    """The totals of an auditor's file of receipts."""
    return {"messages": messages, RECEIPTS_FILE.noun: receipts}


def receipts_in(line: dict[str, Any]) -> int:
    """How many receipts a line of an auditor's file has that were asked for."""
    return sum("row" in one for one in line.get("rows", ()))


def message_line(message: Row[Any], before: bytes | None, secret: bytes) -> dict[str, Any]:
    """The line of an auditor's file for a message with its chain, without its rows. Where messages
    are lost between it and the heading line `before`, it says so, signed by `secret` if that is not
    empty.
    """
    told = {
        "offset": message.stream_offset,
        "generation": message.generation,
        "chain": message.chain.hex(),
        "sequence": message.sequence,
        "heading": message.heading.decode(),
    }
    if before is not None:
        told["lost_before"] = lost_between(before, message.heading, secret)._asdict()
    return told


def export_lines(
    connection: Connection, selection: Selection | LifeSelection, secret: bytes
) -> Iterator[dict[str, Any]]:
    """The lines of the messages in an auditor's file, in the order of the stream."""
    last: int | None = 0
    while last is not None:
        lines, last = export_portion(connection, selection, last, secret)
        yield from lines


def export_portion(
    connection: Connection, selection: Selection | LifeSelection, last: int, secret: bytes
) -> tuple[list[dict[str, Any]], int | None]:
    """The lines of an auditor's file for some messages after the one with the number `last`, which
    is 0 at the beginning, and the number of their last one; None where there are no more. `secret`
    signs what the stream's retention took before the ledger read it.
    """
    messages = _messages(connection, selection, last)
    before_lost = headings_before_lost(connection, messages)
    receipts = _receipts_of(connection, [one for one in messages if selection.may_be_in(one.id)])
    lines = []
    for message in messages:
        theirs = receipts.get(message.id, [])
        wanted = [one for one in theirs if selection.has(one)]
        line = message_line(message, before_lost.get(message.id), secret)
        if wanted:
            line["rows"] = _rows(message, theirs, {one.place for one in wanted})
        lines.append(line)
    return lines, messages[-1].id if messages else None


def _messages(
    connection: Connection, selection: Selection | LifeSelection, last: int
) -> Sequence[Row[Any]]:
    """The next messages of the time, all of them: of a chain each that is left out is a hole."""
    query = select(MESSAGES, CHAINS.c.chain).join(CHAINS, CHAINS.c.id == MESSAGES.c.chain_id)
    query = query.where(MESSAGES.c.id > last, *_conditions(selection))
    return connection.execute(query.order_by(MESSAGES.c.id).limit(MESSAGES_AT_ONCE)).all()


def _conditions(selection: Selection | LifeSelection) -> Iterator[ColumnElement[bool]]:
    if isinstance(selection, LifeSelection):
        yield MESSAGES.c.id.between(min(selection.messages), max(selection.messages))
        yield MESSAGES.c.chain_id.in_(selection.chains)
        return
    if selection.since is not None:
        yield MESSAGES.c.at >= selection.since
    if selection.until is not None:
        yield MESSAGES.c.at < selection.until


def _receipts_of(
    connection: Connection, messages: Sequence[Row[Any]]
) -> dict[int, list[StoredReceipt]]:
    firsts = [one.first_receipt_id for one in messages if one.first_receipt_id is not None]
    if not firsts:
        return {}
    query = (
        select(RECEIPTS)
        .where(RECEIPTS.c.id >= firsts[0], RECEIPTS.c.message_id <= messages[-1].id)
        .order_by(RECEIPTS.c.id)
    )
    found: dict[int, list[StoredReceipt]] = {}
    for one in stored(connection, connection.execute(query).all()):
        found.setdefault(one.message_id, []).append(one)
    return found


def _rows(
    message: Row[Any], receipts: Sequence[StoredReceipt], wanted: set[int]
) -> list[dict[str, Any]]:
    """All rows of a message, also those that the ledger can't read."""
    rows = {one.place: _told(one, is_wanted=one.place in wanted) for one in receipts}
    for place, digest in enumerate(unpack_digests(message.row_digests or b"")):
        rows.setdefault(place, {"place": place, "row_digest": digest.hex(), "blanked": False})
    return [rows[place] for place in sorted(rows)]


def _told(one: StoredReceipt, *, is_wanted: bool) -> dict[str, Any]:
    row = one.row if is_wanted else None
    if row is None:
        return {"place": one.place, "row_digest": one.row_digest.hex(), "blanked": one.is_blanked}
    return {"place": one.place, "row": row.decode(errors="replace")}
