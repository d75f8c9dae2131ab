"""What becomes of the events of a lane whose configuration has changed."""

from __future__ import annotations

from worker.delivery.endings import Endings
from worker.delivery.lanes.lane import Lane
from worker.delivery.outcome import Observer
from worker.delivery.untried_endings import UntriedEndings
from worker.integrations.model import Integration


class Adoption:
    """Has a lane go on with the configuration that is in force now."""

    def __init__(self, endings: Endings, untried: UntriedEndings, observer: Observer) -> None:
        self._endings = endings
        self._untried = untried
        self._observer = observer

    def adopt(self, lane: Lane, integration: Integration) -> None:
        """A changed configuration is in force."""
        before, now = [(one.payload_mode, one.state_id) for one in (lane.integration, integration)]
        if lane.adopt(integration):
            self._observer.unblocked(integration.id)
        if integration.paused:
            for one in lane.take_all_waiting():
                self._untried.park_for_pause(lane, one)
        elif before != now:  # what waits was decided for the form or the state of before
            for one in lane.take_all_waiting():
                self._endings.wait_for_form(lane, one)
