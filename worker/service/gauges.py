"""The gauges of a worker, read from its parts when somebody asks for the metrics."""

from __future__ import annotations

from worker.observability.metrics import Metrics
from worker.service.running_parts import Parts


def refresh(metrics: Metrics, parts: Parts) -> None:
    """Set each gauge to what is so now; counters are counted where it happens."""
    broker = parts.broker
    if broker is not None:
        metrics.reconnects.set(broker.reconnects)
        metrics.refused.set(broker.refused)
        if broker.session is not None:
            metrics.in_flight.set(broker.session.in_hand)
            for queue, depth in broker.session.depths.items():
                metrics.queue_messages.labels(queue).set(depth)
    if parts.gate is not None:
        metrics.ordering_available.set(int(parts.gate.is_open))
        metrics.unreadable_values.set(parts.gate.store.unreadable_values)
        metrics.state_lost.set(int(bool(parts.gate.epochs.problem)))
    for state, number in parts.registry.counts().items():
        metrics.integrations.labels(state).set(number)
    metrics.forget_lanes()
    for lane in parts.lanes():
        label = lane.integration.id
        metrics.lane_held.labels(label).set(lane.held)
        metrics.lane_window.labels(label).set(lane.window.size)
        metrics.lane_blocked.labels(label).set(int(lane.block.is_on))
