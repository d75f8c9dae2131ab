"""The parts of one worker, as far as they are there: what its readiness and its gauges look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.adobe.attempt import AdobeClient
from worker.adobe.check.background_checks import SetUpWatch
from worker.adobe.clock_offset import ClockOffset
from worker.adobe.reply_counts import ReplyCounts
from worker.broker.supervisor import Supervisor
from worker.broker.topology import Topology
from worker.delivery.inlets.inlet_questions import InletQuestions
from worker.delivery.lanes.lane import Lane
from worker.delivery.pipeline import Pipeline
from worker.delivery.rounds.store_gate import StoreGate
from worker.integrations.integration_registry import IntegrationRegistry
from worker.receipts.receipt_writer import ReceiptWriter
from worker.settings import WorkerSettings


@dataclass(slots=True)
class Parts:
    """The parts of one worker. None stands for a part that is not built yet, and for one that
    nobody asks for.
    """

    settings: WorkerSettings
    registry: IntegrationRegistry
    topology: Topology
    clock: ClockOffset = field(default_factory=ClockOffset)
    replies: ReplyCounts = field(default_factory=ReplyCounts)
    client: AdobeClient | None = None
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
