"""A worker that stops gives back what it has in hand, soon and by successors of its own.

RabbitMQ (3.10 and 4.0) treats the loss of a node only for consumers that are up. What a cancelled
one holds then is given out again only when the queue has another leader. So a worker that stops
holds nothing for longer than it takes to publish it again. By that no message counts as returned,
either, as all do whose channel is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from worker.broker.headers import events_of_bundle, integration_id_in
from worker.broker.message import Host
from worker.delivery.bundles.opening import BundleOpening
from worker.delivery.delivery import Delivery
from worker.delivery.lanes.lane import Lane
from worker.delivery.lanes.lane_registry import Lanes
from worker.delivery.outcome import Observer, Parked
from worker.delivery.park_delays import STOPPING_SECONDS
from worker.delivery.successors import Successors
from worker.reasons import ParkReason

GiveBack = Callable[[Lane, list[Delivery]], None]
"""Publishes what follows of deliveries in requests, and marks them as handed over."""


class GivingBack:
    """`park` gets each delivery that waits in a lane. `give_back_trials` has those given back that
    are tried in the other form, by `give_back_sent`.
    """

    def __init__(
        self,
        lanes: Lanes,
        successors: Successors,
        observer: Observer,
        park: Callable[[Lane, Delivery], None],
        give_back_trials: Callable[[GiveBack], None],
        give_back_sent: GiveBack,
    ) -> None:
        self._lanes = lanes
        self._successors = successors
        self._observer = observer
        self._park = park
        self._give_back_trials = give_back_trials
        self._give_back_sent = give_back_sent

    def give_back(self, opening: BundleOpening, host: Host) -> None:
        """See `Handler`. Bundles whose turn has not come go as they are, unread; what waits is
        parked; and what is in a round goes on there, and has a successor all the same.
        """
        if host.lost.is_set():
            return
        for bundle in opening.take_unopened(self._successors.takes_back_unread):
            events = events_of_bundle(bundle.headers) or 1
            integration_id = integration_id_in(bundle.headers) or ""
            self._observer.parked_again(integration_id, ParkReason.STOPPING, events)
            outcome = Parked(STOPPING_SECONDS, ParkReason.STOPPING)
            self._successors.set_aside(bundle, outcome, partial(opening.add, bundle))
        self._give_back_trials(self._give_back_sent)
        for lane in self._lanes:
            for delivery in lane.take_all_waiting():
                self._park(lane, delivery)
            lane.rounds.give_back()
