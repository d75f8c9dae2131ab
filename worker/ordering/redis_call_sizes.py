"""How much goes into one call of Redis: it does nothing else meanwhile, for nobody. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from worker.ordering.store_protocol import Claim, Settlement

T = TypeVar("T")

MOST_WEIGHT: Final = 20_000
"""Arguments of a call of short ones. A usual request has a few hundred; a thousand mappings of two
hundred persons would have half a million, and take longer than a call may."""
_OF_EACH_USER: Final = 5
"""For the keys of a user, and what is said of the lease."""
_BYTES_OF_WEIGHT: Final = 200
"""Of a text that is as dear as an argument."""


def portions(items: Sequence[T], weight_of: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """All `items` in their order, as many together as a call may have, at least one."""
    start = weight = 0
    for number, one in enumerate(items):
        weight += (own := weight_of(one))
        if weight > MOST_WEIGHT and number > start:
            yield items[start:number]
            start, weight = number, own
    if start < len(items):
        yield items[start:]


def claiming_weight(claim: Claim) -> int:
    """What it costs to claim a user."""
    return _OF_EACH_USER + len(claim.attributes) + len(claim.texts)


def settling_weight(settlement: Settlement) -> int:
    """What it costs to settle a user."""
    if settlement.texts is None:
        return _OF_EACH_USER + 2 * len(settlement.written)
    size = sum(map(len, settlement.texts.values()))
    return _OF_EACH_USER + 3 * len(settlement.written) + size // _BYTES_OF_WEIGHT
