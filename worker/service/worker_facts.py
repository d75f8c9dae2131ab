"""What a worker tells of itself among the receipts, every few seconds."""

from __future__ import annotations

import time
from importlib.metadata import version

import orjson

from worker.evidence.receipt import MOST_ROW_BYTES
from worker.integrations.model import Integration
from worker.moments import now_ms
from worker.service.oldest_in_hand import oldest_in_hand
from worker.service.running_parts import Parts
from worker.service.told_lanes import LaneStates


class WorkerFacts:
    """What the receipts ask of a worker with these `parts`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started_at_ms = self.now_ms()
        self._version = version("consent-worker")
        self._lanes = LaneStates()
        self._measured = (time.monotonic(), time.process_time())

    @staticmethod
    def now_ms() -> int:
        """The time in ms since 1970."""
        return now_ms()

    def in_hand(self) -> int:
        """Messages that the worker has not acknowledged."""
        broker = self._parts.broker
        return 0 if broker is None or broker.session is None else broker.session.in_hand

    def state_row(self, unreceipted: dict[str, int]) -> bytes:
        """The row of kind `state` of a worker; counts are of messages. Readers take no row that is
        too long: the lanes have the room that the rest of it leaves.
        """
        broker, lanes, now_ms = self._parts.broker, self._parts.lanes(), self.now_ms()
        counts = broker.counts._asdict() if broker is not None else {}
        oldest = oldest_in_hand(lanes, now_ms)
        said = {"version": self._version, "started_at": self._started_at_ms, **counts}
        said["unreceipted"] = unreceipted
        said["parked_again"] = self._parked_again()
        said["lanes"] = []
        said["cpu_percent"] = self._cpu_percent()
        said["oldest_event_at"] = _from_1970(oldest.event_ms)
        said["oldest_withdrawal_at"] = _from_1970(oldest.withdrawal_ms)
        room = MOST_ROW_BYTES - len(orjson.dumps(said))
        said["lanes"] = self._lanes.told(lanes, now_ms, room, self._token_seconds)
        return orjson.dumps(said)

    def _parked_again(self) -> dict[str, int]:
        pipeline = self._parts.pipeline
        return {} if pipeline is None else pipeline.parked_again.told()

    def _token_seconds(self, integration: Integration) -> float | None:
        client = self._parts.client
        return None if client is None else client.token_seconds_left(integration)

    def _cpu_percent(self) -> int:
        """What the process has used of a core since it was asked last."""
        before, self._measured = self._measured, (time.monotonic(), time.process_time())
        passed, used = (now - then for now, then in zip(self._measured, before, strict=True))
        return round(100 * used / passed) if passed > 0 else 0


def _from_1970(at_ms: int | None) -> int | None:
    """Readers take no time before it, which an event may well name."""
    return None if at_ms is None else max(0, at_ms)
