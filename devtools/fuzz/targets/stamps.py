"""What stands in the store, which others may have written; and the rule that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

from devtools.fuzz.target import Target
from devtools.fuzz.values import anything, below, pick, spoiled, text, written
from worker.integrations.missing_integrations import decode
from worker.ordering.newest_fold import fold
from worker.ordering.redis_values import RedisValues
from worker.ordering.stamp import Stamp
from worker.ordering.store_protocol import Claim
from worker.ordering.user_digests import UserKeys, both_digests

_VALUES: Final = RedisValues(clock=lambda: 0.0)
_ROTATING: Final = UserKeys(b"new", b"old")
_TIMES: Final = (0, 1, 1_000, 1_772_439_330_120, 10**15, -(10**15), 9_999_999_999_999_999)
IDS: Final = ("e1", "e2", "", "+", "n", "1.2n3", "\n", "\x00", "\ud800", "x" * 64, "x" * 65)
VALUES: Final = (True, False, "gold", "n", {"val": "n"}, {"val": "y"})


def make_stored(r: Random) -> list[bytes | None]:
    """Values of a hash, as Redis hands them out."""
    return [_stored(r) for _ in range(below(r, 5))]


def _stored(r: Random) -> bytes | None:
    if r.random() < 0.1:
        return None
    if r.random() < 0.1:
        return text(r, 1_024).encode(errors="surrogatepass")
    value = make_stamp(r).encode().encode(errors="surrogatepass")
    return spoiled(r, value) if r.random() < 0.4 else value


def make_stamp(r: Random) -> Stamp:
    """One of few times and ids."""
    return Stamp(pick(r, _TIMES), pick(r, _TIMES), r.random() < 0.5, pick(r, (*IDS, text(r, 300))))


def check_stored(values: list[bytes | None]) -> None:
    """What can be read is a stamp of ours, and is written as it was read; the rest is unknown."""
    paths = [f"p{number}" for number in range(len(values))]
    for claimed in (paths, paths[: len(paths) // 2]):
        if len(claimed) in (len(values), len(values) / 2):
            granted = _VALUES.granted(1, Claim("user", claimed), values)
            assert granted.stored.keys() <= set(claimed)
            for stamp in granted.stored.values():
                assert Stamp.decode(stamp.encode()) == stamp, "another stamp once it is written"


def make_remembered(r: Random) -> str:
    """An integration that was in force lately, as a text."""
    fields = [pick(r, ("northwind", "shop", "shop.json", "ab12", text(r, 300))) for _ in range(4)]
    document: Any = fields if r.random() < 0.6 else anything(r)
    data = written(document)
    return (spoiled(r, data) if r.random() < 0.3 else data).decode(errors="replace")


def check_remembered(text: str) -> None:
    """What is read is written again as the same."""
    seen = decode(text)
    if seen is not None:
        assert decode(seen.encode()) == seen


@dataclass(frozen=True)
class Event:
    """For `fold`."""

    event_id: str
    event_time_ms: int
    updated_at_ms: int | None
    attributes: dict[str, Any]
    companions: frozenset[str] = frozenset()
    didomi_user: str | None = None


FoldCase = tuple[list[tuple[str, int, int, dict[str, Any]]], dict[str, str], list[int]]


def make_fold(r: Random) -> FoldCase:
    """Events of one user, stamps that are stored, and another order of the events."""
    events = []
    for _ in range(1 + below(r, 5)):
        attributes = {pick(r, "abc"): pick(r, VALUES) for _ in range(1 + below(r, 3))}
        events.append((pick(r, IDS), 1 + below(r, 3), below(r, 3), attributes))
    if r.random() < 0.3:
        events.append(events[0])
    stored = {}
    for path in "abc":
        if r.random() < 0.3:
            stamp = Stamp(1 + below(r, 3), below(r, 3), r.random() < 0.5, pick(r, IDS))
            stored[path] = stamp.encode()
    order = list(range(len(events)))
    r.shuffle(order)
    return events, stored, order


def check_fold(case: FoldCase) -> None:
    """The order of the events changes nothing of what is sent; sent once, it is sent no more."""
    listed, encoded, order = case
    events = [Event(*one) for one in listed if one[3]]
    if not events:
        return
    stored = {path: Stamp.decode(stamp) for path, stamp in encoded.items()}
    shuffled = [events[index] for index in order if 0 <= index < len(events)]
    folded = fold(events, stored)
    if sorted(order) == list(range(len(events))):
        other = fold(shuffled, stored)
        assert other.attributes == folded.attributes, "the order decides what is sent"
        assert other.written == folded.written
    assert folded.attributes.keys() == folded.written.keys()
    assert len(folded.verdicts) == len(events)
    for path, stamp in folded.written.items():
        assert path not in stored or stored[path] < stamp, "an older choice is sent"
    again = fold(events, stored | dict(folded.written))
    assert not again.attributes, "what was accepted is sent again"
    assert not any(verdict.awaits_message for verdict in again.verdicts)


def make_user(r: Random) -> tuple[str, str, str]:
    """An integration, where an identity is said, and its value."""
    return pick(r, ("shop", "s", "")), pick(r, ("_id", "Email", "")), text(r, 1_024)


def check_user(case: tuple[str, str, str]) -> None:
    """A user is called by two digests of a fixed form, and no two triples by the same."""
    one, other = both_digests(_ROTATING.user_key(*case))
    assert len(one) == len(other) == 22
    integration, place, value = case
    assert _ROTATING.user_key(integration + place, "", value) != f"{one}~{other}" or not place


TARGETS: Final = (
    Target("stored-stamps", make_stored, check_stored, share=30),
    Target("remembered", make_remembered, check_remembered, share=15),
    Target("folds", make_fold, check_fold, share=30),
    Target("users", make_user, check_user, share=20),
)
