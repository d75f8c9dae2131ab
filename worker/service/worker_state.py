"""What a worker tells of itself among the receipts, every few seconds."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any, Final

import orjson

from worker.delivery.lanes.lane import Lane
from worker.redaction import redact
from worker.service.running_parts import Parts

_WORDS_CHARACTERS: Final = 200
_MOST_BYTES: Final = 12 * 1024
"""Of the lanes in a row, which has 16 KiB at most; those that do well come last."""


class WorkerFacts:
    """What the receipts ask of a worker with these `parts`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started_at_ms = self.now_ms()
        self._version = version("consent-worker")

    @staticmethod
    def now_ms() -> int:
        """The time in ms since 1970."""
        return int(time.time() * 1000)

    def in_hand(self) -> int:
        """Messages that are not acknowledged."""
        broker = self._parts.broker
        return 0 if broker is None or broker.session is None else broker.session.in_hand

    def state_row(self, unreceipted: dict[str, int]) -> bytes:
        """The row of kind `state`; counts are of messages."""
        broker = self._parts.broker
        counts = broker.counts._asdict() if broker is not None else {}
        said = {"version": self._version, "started_at": self._started_at_ms, **counts}
        return orjson.dumps(said | {"unreceipted": unreceipted, "lanes": self._lanes()})

    def _lanes(self) -> list[dict[str, Any]]:
        told = sorted(map(_told, self._parts.lanes()), key=lambda one: one["state"] == "well")
        kept, size = [], 0
        for one in told:
            size += len(orjson.dumps(one)) + 1
            if size > _MOST_BYTES:
                break
            kept.append(one)
        return kept


def _told(lane: Lane) -> dict[str, Any]:
    failure = lane.block.failure
    return {
        "integration": lane.integration.id,
        "state": _state_of(lane),
        "held": lane.held,
        "error": failure.error if failure is not None else "",
        "words": redact(failure.detail)[:_WORDS_CHARACTERS] if failure is not None else "",
    }


def _state_of(lane: Lane) -> str:
    if lane.integration.paused:
        return "paused"
    if lane.block.is_on:
        return "blocked"
    if lane.health.is_failing:
        return "failing"
    return "well" if lane.keeps_up() else "slowed"
