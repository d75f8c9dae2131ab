"""Heads of chains, as somebody who reads the stream writes them back into it now and then. Pure.

What was cut off the end of a chain leaves no trace in the chain itself, but an anchor that has seen
it tells.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from worker.evidence.bounded_json import hex_in, number_in, object_of


class Head(NamedTuple):
    """The last message of a chain that was seen: its sequence, the digest of its heading line, and
    its time (ms since 1970). A row of kind `anchor` is one as a JSON object with these keys.
    """

    chain: str
    sequence: int
    heading: str
    at: int


def encode_head(head: Head) -> bytes:
    """The row of an anchor for a head."""
    return orjson.dumps(head._asdict())


def read_head(row: bytes) -> Head:
    """The head that a row of an anchor is. Raises `Unreadable`."""
    said = object_of(row)
    return Head(
        hex_in(said, "chain", 32),
        number_in(said, "sequence"),
        hex_in(said, "heading", 64),
        number_in(said, "at"),
    )
