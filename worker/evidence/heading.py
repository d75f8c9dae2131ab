"""A message of the receipts' stream: a heading and rows, to bytes and back. Pure.

Lines of UTF-8 joined by one line feed. The first is the heading, and its digest covers the digest
of each row: so a row may be blanked while its digest is kept, and the chain still verifies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, get_args

import orjson

from worker.evidence.bounded_json import Unreadable, hex_in, number_in, object_of, text_in
from worker.evidence.receipt import MOST_ROW_BYTES
from worker.evidence.signing import key_id, mac_of

CONTENT_TYPE: Final = "application/vnd.consent-worker.receipts"
VERSION: Final = 1
MOST_BODY_BYTES: Final = 4 * 1024 * 1024
"""A reader takes no larger one; processes before this version wrote such."""
MOST_WRITTEN_BYTES: Final = 1024 * 1024
"""Of the rows of a message. A broker has to take it (docs/running-a-fleet.md, "Large messages"),
and while it is made, nobody else is served."""
MOST_HEADING_BYTES: Final = 4 * 1024
MOST_ROWS: Final = 4096
MOST_WORKER_CHARACTERS: Final = 64
NO_DIGEST: Final = "0" * 64
"""In place of the message before the first one."""

MessageKind = Literal["begin", "receipts", "state", "anchor", "trail", "end"]
_KINDS: Final[dict[str, MessageKind]] = {one: one for one in get_args(MessageKind)}
_MAC: Final = re.compile(rb'"mac":"[0-9a-f]*"\}\Z')
_NO_MAC: Final = b'"mac":""}'


class Heading(NamedTuple):
    """The heading of a message in a chain. `previous` is the digest of the heading line before this
    one in its chain, `digest` that of the rows, `key` and `mac` are empty where it is not signed.
    `at` is in ms since 1970.
    """

    kind: MessageKind
    chain: str
    sequence: int
    previous: str
    worker: str
    at: int
    rows: int
    digest: str
    key: str
    mac: str


class Message(NamedTuple):
    """A message as it was read: its heading, the heading's own bytes, and the rows' bytes."""

    heading: Heading
    line: bytes
    rows: tuple[bytes, ...]


def row_digest(row: bytes) -> bytes:
    """The digest of one row, 32 bytes."""
    return hashlib.sha256(row).digest()


def rows_digest(digests: Iterable[bytes]) -> str:
    """The digest of all rows of a message, by theirs."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def line_digest(line: bytes) -> str:
    """The digest of a heading line, by which the next one points to it."""
    return hashlib.sha256(line).hexdigest()


def write_heading(heading: Heading, secret: bytes) -> bytes:
    """The line of `heading`, signed with `secret`, if that is not empty."""
    fields = {"v": VERSION, "kind": heading.kind, "chain": heading.chain}
    fields |= {"sequence": heading.sequence, "previous": heading.previous}
    fields |= {"worker": heading.worker, "at": heading.at, "rows": heading.rows}
    fields |= {"digest": heading.digest, "key": key_id(secret), "mac": ""}
    line = orjson.dumps(fields)
    return line.removesuffix(_NO_MAC) + b'"mac":"%s"}' % mac_of(secret, line).encode()


def unsigned(line: bytes) -> bytes:
    """A heading line as it was before it was signed."""
    return _MAC.sub(_NO_MAC, line)


def read_heading(line: bytes) -> Heading:
    """The heading that a line is. Raises `Unreadable`."""
    if len(line) > MOST_HEADING_BYTES:
        raise Unreadable("the heading is too long")
    said = object_of(line)
    if said.get("v") != VERSION or type(said["v"]) is not int:
        raise Unreadable("the heading is of another version")
    kind = _KINDS.get(text_in(said, "kind"))
    if kind is None:
        raise Unreadable("kind is none that this version knows")
    if _MAC.search(line) is None:
        raise Unreadable("the heading does not end with its mac")
    return Heading(
        kind=kind,
        chain=hex_in(said, "chain", 32),
        sequence=number_in(said, "sequence"),
        previous=hex_in(said, "previous", 64),
        worker=text_in(said, "worker", MOST_WORKER_CHARACTERS),
        at=number_in(said, "at"),
        rows=number_in(said, "rows"),
        digest=hex_in(said, "digest", 64),
        key=hex_in(said, "key", 0, 8),
        mac=hex_in(said, "mac", 0, 64),
    )


def read_message(body: bytes) -> Message:
    """The heading and the rows of a message; whether they belong together is not judged here.
    Raises `Unreadable`.
    """
    if len(body) > MOST_BODY_BYTES:
        raise Unreadable("the message is too large")
    line, _, rest = body.partition(b"\n")
    heading = read_heading(line)
    if not rest:
        return Message(heading, line, ())
    if rest.count(b"\n") >= MOST_ROWS:
        raise Unreadable("the message has too many rows")
    rows = tuple(rest.split(b"\n"))
    if any(len(row) > MOST_ROW_BYTES for row in rows):
        raise Unreadable("a row is too long")
    return Message(heading, line, rows)
