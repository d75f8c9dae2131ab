"""What becomes of the events of a lane whose configuration has changed."""

from __future__ import annotations

from worker.delivery.delivery import Delivery
from worker.delivery.endings import Endings
from worker.delivery.faults import Faults
from worker.delivery.lanes.lane import Lane
from worker.delivery.lanes.lane_state import may_wait_on
from worker.delivery.outcome import Observer
from worker.delivery.untried_endings import UntriedEndings
from worker.integrations.model import Integration
from worker.reasons import ParkReason


class Adoption:
    """Has a lane go on with the configuration that is in force now."""

    def __init__(
        self, endings: Endings, untried: UntriedEndings, faults: Faults, observer: Observer
    ) -> None:
        self._endings = endings
        self._faults = faults
        self._untried = untried
        self._observer = observer

    def adopt(self, lane: Lane, integration: Integration) -> None:
        """Have a lane go on with its changed configuration, and release what may not wait on."""
        before = lane.integration
        if lane.adopt(integration):
            self._observer.unblocked(integration.id)
        if not may_wait_on(before, integration):
            for one in lane.take_all_waiting():
                self.release(lane, one)

    def release(self, lane: Lane, delivery: Delivery) -> None:
        """Park a delivery that may not wait on, to be decided anew; see `may_wait_on`."""
        self._faults.end_safely(self._park, lane, delivery)

    def _park(self, lane: Lane, delivery: Delivery) -> None:
        if lane.integration.paused:
            self._untried.park_for_pause(lane, delivery)
        else:
            self._endings.decide_anew(lane, delivery, ParkReason.CHANGED)
