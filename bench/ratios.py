"""Ratios of figures that were measured in pairs, one run right after the other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def median_ratio(changed: Sequence[float], plain: Sequence[float]) -> float:
    """The median of the pairs' ratios: what changes in the machine from minute to minute is the
    same for both of a pair.
    """
    return statistics.median(one / other for one, other in zip(changed, plain, strict=True))
