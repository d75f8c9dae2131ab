"""Begun events in the delay: those that are through early leave nothing behind."""

from __future__ import annotations

import sys

from worker.delivery.lanes.events_in_hand import Begun


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_what_is_through_early_is_forgotten_when_due_while_others_have_events_in_the_delay() -> (
    None
):
    clock = Clock()
    begun = Begun(2_000, clock)
    begun.add("other", clock() + 1_000_000)
    before = sys.getsizeof(begun._dropped)
    for _ in range(10_000):
        clock.seconds += 60
        for _ in range(3):
            begun.add("shop", clock() + 5)
        begun.drop("shop", clock() + 5)
        begun.drop("shop", clock() + 5)
        assert begun.of("shop") == 1, "the third is not through"
    clock.seconds += 60
    assert (begun.of("shop"), begun.of("other")) == (0, 1)
    assert len(begun._dropped) == 0
    assert sys.getsizeof(begun._dropped) < before + 1_000, "nor grows what holds them"
