"""What an auditor gets of acts: whole ones, each row as it stood in the stream, with all of their
chains.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from worker.evidence.exported_file import ACTS_FILE
from worker.ledger.act_chains import ActMessage, act_messages
from worker.ledger.exporting import first_line, message_line
from worker.ledger.lost_before import headings_before_lost
from worker.ledger.schema import ACTS


class ActSelection(NamedTuple):
    """Which acts an auditor gets, None for all: those about an integration, and those of which
    something is on record in a time (ms since 1970).
    """

    integration: str | None
    since: int | None
    until: int | None

    @property
    def asked_for(self) -> dict[str, Any]:
        """The selection of acts as the auditor's file says it."""
        return self._asdict()


def chosen_acts(connection: Connection, selection: ActSelection) -> list[str]:
    """The ids of the acts that an auditor gets."""
    query = select(ACTS.c.act).where(*_conditions(selection)).distinct()
    return list(connection.execute(query).scalars())


def export_acts(
    connection: Connection, selection: ActSelection, now_ms: int, secret: bytes
) -> Iterator[dict[str, Any]]:
    """All lines of an auditor's file of acts: what it is, one for each message, and the totals,
    without which the file was cut short. `secret` signs what the stream's retention took before the
    ledger read it.
    """
    yield first_line(ACTS_FILE, selection.asked_for, now_ms)
    acts = chosen_acts(connection, selection)
    messages = rows = 0
    for one in act_messages(connection, acts):
        messages += 1
        rows += len(one.rows)
        before_lost = headings_before_lost(connection, [one.message])
        line = message_line(one.message, before_lost.get(one.message.id), secret)
        if one.digests:
            line["rows"] = _rows(one)
        yield line
    yield {"messages": messages, ACTS_FILE.noun: rows, "acts": len(acts)}


def _conditions(selection: ActSelection) -> Iterator[ColumnElement[bool]]:
    if selection.integration is not None:
        yield ACTS.c.integration == selection.integration
    if selection.since is not None:
        yield ACTS.c.at >= selection.since
    if selection.until is not None:
        yield ACTS.c.at < selection.until


def _rows(one: ActMessage) -> list[dict[str, Any]]:
    return [
        {"place": place, "row": one.rows[place].decode(errors="replace")}
        if place in one.rows
        else {"place": place, "row_digest": digest.hex()}
        for place, digest in enumerate(one.digests or ())
    ]
