"""Fifty manipulations, planted by chance in a stream of several processes: each is found and named.

Ten each of a change, a removal, an insertion, a reordering, and a cut up to the last anchor; in
chains that are signed, and in such as are not.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import pytest

from tests.unit.evidence.chains import SECRET, START_MS, receipt, verified
from worker.evidence.anchors import Head, encode_head
from worker.evidence.chain import Chain
from worker.evidence.findings import FindingCode as Code
from worker.evidence.heading import Message, MessageKind, line_digest, read_message
from worker.evidence.receipt import encode_receipt

Planted = tuple[list[bytes], set[Code]]
"""A stream, and by which of these codes it is to be found out."""
Plant = Callable[[list[bytes], random.Random, int], Planted]
EACH: Final = 10
_ROUNDS: Final = 60


class _Writer:
    """A process, and the place that it has come to."""

    def __init__(self, name: str, secret: bytes) -> None:
        self.chain = Chain(name, secret)
        self.last = b""

    def say(self, kind: MessageKind, rows: list[bytes], at_ms: int) -> bytes:
        self.last = self.chain.message(kind, rows, at_ms)
        return self.last

    @property
    def head(self) -> bytes:
        heading, line, _ = read_message(self.last)
        return encode_head(Head(heading.chain, heading.sequence, line_digest(line), heading.at))


def stream(secret: bytes, chance: random.Random) -> list[bytes]:
    """Two workers, and a ledger whose last message is an anchor that has seen the last of both."""
    workers = [_Writer(f"host:{number}", secret) for number in range(2)]
    ledger = _Writer("ledger:1", secret)
    said = [one.say("begin", [], START_MS) for one in (*workers, ledger)]
    for number in range(_ROUNDS):
        at_ms = START_MS + 100 * number
        one = workers[number % 2]
        if chance.random() < 0.2:
            said.append(one.say("state", [b'{"taken":%d,"settled":0}' % number], at_ms))
        else:
            rows = [encode_receipt(receipt(10 * number + n)) for n in range(chance.randint(2, 4))]
            said.append(one.say("receipts", rows, at_ms))
        if number % 10 == 9:
            said.append(ledger.say("anchor", [one.head for one in workers], at_ms))
    return said


def _of(said: list[bytes], worker: str, *kinds: str) -> list[int]:
    """The places of its messages; but for the first and the last, unless kinds are given."""
    places = [n for n, body in enumerate(said) if read_message(body).heading.worker == worker]
    if not kinds:
        return places[1:-1]
    return [n for n in places if read_message(said[n]).heading.kind in kinds]


def _written(message: Message) -> bytes:
    return b"\n".join((message.line, *message.rows))


def change(said: list[bytes], chance: random.Random, number: int) -> Planted:
    """Of a row, of the rows, or of a heading."""
    places = {8: ("state",), 9: ("anchor",)}.get(number, ("receipts",))
    place = chance.choice(_of(said, "ledger:1" if number == 9 else "host:0", *places)[:-1])
    body = said[place]
    message = read_message(body)
    rows = message.rows
    found = {Code.CHANGED}
    match number:
        case 0:
            planted = body.replace(b'"withdrawn"', b'"given"', 1)
        case 1:
            planted = body.replace(b'"delivered"', b'"skipped"', 1)
        case 2:
            planted = _written(message._replace(rows=rows[:-1]))
        case 3:
            planted = _written(message._replace(rows=(*rows, rows[0])))
        case 4:
            planted = _written(message._replace(rows=rows[::-1]))
        case 5:
            planted = body.replace(b'"event":"ev-', b'"event":"ev-9', 1)
        case 6:
            planted = body.replace(b'"at":18', b'"at":17', 1)
            found = {Code.FORGED, Code.RELINKED}
        case 7:
            planted = body.replace(b'"worker":"host:0"', b'"worker":"host:7"', 1)
            found = {Code.FORGED, Code.RELINKED}
        case 8:
            planted = body.replace(b'"taken":', b'"taken":1', 1)
        case _:
            planted = body.replace(b'"sequence":', b'"sequence":1', 2)
            found = {Code.CHANGED, Code.FORGED, Code.REMOVED}
    assert planted != body
    return [*said[:place], planted, *said[place + 1 :]], found


def remove(said: list[bytes], chance: random.Random, number: int) -> Planted:
    """Of one message, of some in a row, or of the first ones of a process."""
    places = _of(said, "host:0")
    if number == 0:
        return [one for n, one in enumerate(said) if n not in {0, *places[:3]}], {Code.HEADLESS}
    start = chance.randrange(len(places) - number)
    gone = set(places[start : start + number])
    return [one for n, one in enumerate(said) if n not in gone], {Code.REMOVED}


def insert(said: list[bytes], chance: random.Random, number: int) -> Planted:
    """Of a message that was never written, in a place of the chain that has one."""
    place = chance.choice(_of(said, "host:0"))
    there = read_message(said[place]).heading
    forger = Chain("host:0", b"a guess" if number % 2 else b"")
    forger.id = there.chain
    for one in range(there.sequence + 1):
        made = forger.message("receipts", [encode_receipt(receipt(9000 + one))], START_MS)
    # Who has no secret can be told by that; where nothing is signed, by the place that was taken.
    found = {Code.FOREIGN, Code.INSERTED, Code.RELINKED}
    at = place if number < EACH // 2 else place + 1
    return [*said[:at], made, *said[at:]], found


def reorder(said: list[bytes], chance: random.Random, number: int) -> Planted:
    """Of two messages of one process, near to each other or not."""
    places = _of(said, "host:1")
    first = chance.randrange(len(places) - number - 1)
    one, other = places[first], places[first + number + 1]
    planted = list(said)
    planted[one], planted[other] = planted[other], planted[one]
    return planted, {Code.REORDERED}


def cut(said: list[bytes], chance: random.Random, number: int) -> Planted:
    """Of the last messages of a process, which the last anchor has seen."""
    worker = f"host:{number % 2}"
    places = [n for n, body in enumerate(said) if read_message(body).heading.worker == worker]
    gone = set(places[-(number + 1) :])
    return [one for n, one in enumerate(said) if n not in gone], {Code.CUT}


KINDS: Final[tuple[Plant, ...]] = (change, remove, insert, reorder, cut)


@pytest.mark.parametrize("secret", [SECRET, b""], ids=["signed", "unsigned"])
def test_a_stream_as_it_was_written_has_no_finding(secret: bytes) -> None:
    said = stream(secret, random.Random(1))
    assert verified(said, (secret,))[1] == []


@pytest.mark.parametrize("secret", [SECRET, b""], ids=["signed", "unsigned"])
@pytest.mark.parametrize("number", range(EACH))
@pytest.mark.parametrize("plant", KINDS, ids=lambda one: one.__name__)
def test_what_was_planted_is_found(plant: Plant, number: int, secret: bytes) -> None:
    chance = random.Random(f"{plant.__name__} {number}")
    planted, codes = plant(stream(secret, chance), chance, number)
    found = verified(planted, (secret,))[1]
    assert codes & set(found), f"{plant.__name__} {number}: {found}"
    assert any(one.is_manipulation for one in found)
