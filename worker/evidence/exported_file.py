"""Verifies a file that was exported for an auditor, by itself: no stream and no ledger is asked.

A file begins and ends in the middle of chains, so that a chain has no beginning or no end in it is
no finding. Nothing signs the file as a whole, see `NOT_TOLD`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from worker.evidence.bounded_json import Unreadable, number_in, object_of, text_in
from worker.evidence.findings import Finding, FindingCode
from worker.evidence.heading import MOST_HEADING_BYTES, read_heading, row_digest
from worker.evidence.lost_messages import read_lost
from worker.evidence.signing import Keyring
from worker.evidence.verification import Verification


class FileKind(NamedTuple):
    """A kind of exported file: `what` it says of itself in its first line, and the `noun` by which
    its last one counts the rows that it has in full.
    """

    what: str
    noun: str


RECEIPTS_FILE: Final = FileKind("receipts of consent-worker", "receipts")
ACTS_FILE: Final = FileKind("acts of consent-worker", "rows")
_KINDS: Final = {one.what: one for one in (RECEIPTS_FILE, ACTS_FILE)}
_DIGEST_DIGITS: Final = 64
MOST_LINE_BYTES: Final = 16 * 1024 * 1024
"""Of a file: a line has one message, which the writer of receipts ends at 1 MiB, in JSON again."""
NOT_TOLD: Final = (
    "whether a whole chain, and so an act, or the beginning or the end of one was left out, a file "
    "does not tell, since its totals are not signed: have it made again from a stream that verifies"
)
"""What no check of a file finds."""
OF_A_WHOLE_STREAM: Final = frozenset({FindingCode.HEADLESS, FindingCode.ENDED_WITHOUT_END})
"""Findings that are none where only a part of the stream is there."""


class NoExport(ValueError):
    """The file is none that was exported, or was cut short; the text says which line and why."""


def verify_file(lines: Iterable[bytes], keyring: Keyring) -> tuple[Verification, list[Finding]]:
    """The findings about an exported file, by its lines. Raises `NoExport`."""
    verification = Verification(keyring)
    rows = number = 0
    kind = RECEIPTS_FILE
    totals: dict[str, Any] | None = None
    for number, line in enumerate(lines, 1):
        try:
            said = object_of(line)
            if totals is not None:
                raise Unreadable("there is more after the totals")
            if number == 1:
                kind = _kind_of(said)
            elif "heading" in said:
                rows += _see(verification, said)
            else:
                totals = said
        except Unreadable as error:
            raise NoExport(f"line {number}: {error}") from None
    if totals is None:
        raise NoExport(f"it ends at line {number} without its totals: the file was cut short")
    told = totals.get("messages"), totals.get(kind.noun)
    if told != (verification.messages, rows):
        raise NoExport(f"line {number}: its totals are not those of the file: lines were taken out")
    found = verification.conclude(0)
    return verification, [one for one in found if one.code not in OF_A_WHOLE_STREAM]


def _kind_of(said: dict[str, Any]) -> FileKind:
    what = said.get("what")
    kind = _KINDS.get(what) if isinstance(what, str) else None
    if kind is None:
        raise Unreadable("this is no file that `receipts export` or the console has written")
    return kind


def _see(verification: Verification, said: dict[str, Any]) -> int:
    """One message; how many rows of it are there in full."""
    line = text_in(said, "heading", MOST_HEADING_BYTES).encode()
    heading = read_heading(line)
    rows = said.get("rows")
    digests = None if rows is None and heading.rows else _digests(rows or [])
    lost = read_lost(said["lost_before"]) if "lost_before" in said else None
    verification.take(number_in(said, "offset"), heading, line, digests, lost)
    return 0 if rows is None else sum(isinstance(one, dict) and "row" in one for one in rows)


def _digests(rows: Any) -> Sequence[bytes]:
    if not isinstance(rows, list):
        raise Unreadable("rows is not a list")
    return [_digest(one) for one in rows]


def _digest(one: Any) -> bytes:
    if not isinstance(one, dict):
        raise Unreadable("a row is not an object")
    if isinstance(one.get("row"), str):
        return row_digest(one["row"].encode(errors="surrogatepass"))
    digest = one.get("row_digest")
    if not isinstance(digest, str) or len(digest) != _DIGEST_DIGITS:
        raise Unreadable("a row has neither its text nor its digest")
    try:
        return bytes.fromhex(digest)
    except ValueError:
        raise Unreadable("a row has neither its text nor its digest") from None
