"""The parts of one worker, as far as they are there: what its readiness looks at, and the gauges
that are read from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.adobe.check.background_checks import SetUpWatch
from worker.adobe.clock_offset import ClockOffset
from worker.broker.supervisor import Supervisor
from worker.broker.topology import Topology
from worker.delivery.inlets.inlet_questions import InletQuestions
from worker.delivery.lanes.lane import Lane
from worker.delivery.pipeline import Pipeline
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.integration_registry import IntegrationRegistry
from worker.observability.metrics import Metrics
from worker.receipts.receipt_writer import ReceiptWriter
from worker.settings import WorkerSettings


@dataclass(slots=True)
class Parts:
    """None stands for a part that is not built yet, and for one that nobody asks for."""

    settings: WorkerSettings
    registry: IntegrationRegistry
    topology: Topology
    clock: ClockOffset = field(default_factory=ClockOffset)
    broker: Supervisor | None = None
    gate: StoreGate | None = None
    set_up: SetUpWatch | None = None
    questions: InletQuestions | None = None
    pipeline: Pipeline | None = None
    receipts: ReceiptWriter | None = None
    is_stopping: bool = False

    def lanes(self) -> list[Lane]:
        """The lanes of integrations that are in use."""
        if self.pipeline is None:
            return []
        self.pipeline.lanes.drop_unused(self.registry.is_enabled)
        return list(self.pipeline.lanes)


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
