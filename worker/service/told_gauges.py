"""What the parts of a worker tell to who scrapes its metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator

from worker.delivery.lanes.lane import Lane
from worker.delivery.lanes.request_limits import RequestWindow
from worker.observability.gauges import Gauges
from worker.service.oldest_in_hand import oldest_in_hand
from worker.service.readiness import problems
from worker.service.running_parts import Parts


def refresh(gauges: Gauges, parts: Parts) -> None:
    """Set each gauge of a worker to what is so now; those by integration are read when written."""
    gauges.ready.set(int(not problems(parts)))
    broker = parts.broker
    if broker is not None:
        gauges.reconnects.set((), broker.reconnects)
        gauges.refused.set((), broker.refused)
        if broker.session is not None:
            gauges.in_flight.set(broker.session.in_hand)
            for queue, depth in broker.session.watch.depths.items():
                gauges.queue_messages.labels(queue).set(depth)
    if parts.gate is not None:
        gauges.ordering_available.set(int(not parts.gate.problems))
        gauges.unreadable_values.set((), parts.gate.store.unreadable_values)
        gauges.state_lost.set(int(bool(parts.gate.epochs.problem)))
    if parts.pipeline is not None:
        pacer = parts.pipeline.lanes.pacer
        gauges.delayed_requests.set((), pacer.delayed)
        gauges.delayed_request_seconds.set((), pacer.delayed_seconds)
    for state, number in parts.registry.counts().items():
        gauges.integrations.labels(state).set(number)
    for status_class, number in parts.replies.by_class.items():
        gauges.replies.set((status_class,), number)
    gauges.configuration.clear()
    gauges.configuration.labels(parts.registry.version).set(1)
    lanes = parts.lanes()
    _tell_ages(gauges, lanes)
    _tell_of_integrations(gauges, parts, {one.integration.id: one for one in lanes})


def _tell_ages(gauges: Gauges, lanes: list[Lane]) -> None:
    now_ms = int(time.time() * 1000)
    oldest = oldest_in_hand(lanes, now_ms)
    gauges.oldest_event.set(_age_seconds(oldest.event_ms, now_ms))
    gauges.oldest_withdrawal.set(_age_seconds(oldest.withdrawal_ms, now_ms))


def _age_seconds(made_ms: int | None, now_ms: int) -> float:
    return 0.0 if made_ms is None else (now_ms - made_ms) / 1000


def _tell_of_integrations(gauges: Gauges, parts: Parts, lanes: dict[str, Lane]) -> None:
    integrations = parts.registry.integrations

    def held() -> Iterator[tuple[str, float]]:
        for one in integrations:
            lane = lanes.get(one.id)
            yield one.id, lane.held if lane is not None else 0

    def allowed() -> Iterator[tuple[str, float]]:
        for one in integrations:
            lane = lanes.get(one.id)
            window = (
                lane.window if lane is not None else RequestWindow(one.limits.requests_in_flight)
            )
            yield one.id, window.size

    def blocked() -> Iterator[tuple[str, float]]:
        for one in integrations:
            lane = lanes.get(one.id)
            yield one.id, int(lane is not None and lane.block.is_on)

    def token_seconds() -> Iterator[tuple[str, float]]:
        for one in integrations:
            left = parts.client.token_seconds_left(one) if parts.client is not None else None
            if left is not None:
                yield one.id, left

    gauges.lane_held.ask = held
    gauges.lane_window.ask = allowed
    gauges.lane_blocked.ask = blocked
    gauges.token_seconds.ask = token_seconds
