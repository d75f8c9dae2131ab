"""Puts the parts of a pipeline together, for the service, the tests and the benchmarks alike."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial

from worker.broker.delay import DelayKindTargets
from worker.broker.queue_names import Names
from worker.delivery.adoption import Adoption
from worker.delivery.bundles.gathering import BundleGathering
from worker.delivery.endings import Endings
from worker.delivery.event_decisions import EventDecisions
from worker.delivery.faults import Faults
from worker.delivery.giving_back import GivingBack
from worker.delivery.inlets.known_inlets import KnownInlets
from worker.delivery.inlets.listening_sender import ListeningSender
from worker.delivery.inlets.mode_in_force import Routes, RoutesInForce
from worker.delivery.inlets.refused_form import FormMismatch
from worker.delivery.lanes.block import Block
from worker.delivery.lanes.events_in_hand import Begun
from worker.delivery.lanes.lane import Lane
from worker.delivery.lanes.lane_registry import Lanes
from worker.delivery.lanes.lane_state import Pauses, SharedParts
from worker.delivery.lanes.request_pacing import RequestPacer, needed_core
from worker.delivery.lanes.suspect_turns import SuspectTurns
from worker.delivery.newer_contracts import NewerContracts
from worker.delivery.outcome import Observer
from worker.delivery.parked_again_bundles import ParkedAgain
from worker.delivery.pipeline import Pipeline
from worker.delivery.pipeline_limits import PipelineLimits
from worker.delivery.receipting import ReceiptBook, Receipting
from worker.delivery.retry_policy import RetryPolicy
from worker.delivery.returned_bundles import ReturnedBundles
from worker.delivery.returned_messages import ReturnedMessages
from worker.delivery.rounds.round_runner import AdobeRounds
from worker.delivery.rounds.sender_protocol import Sender
from worker.delivery.rounds.store_gate import StoreGate
from worker.delivery.routing import Routing
from worker.delivery.screening import Screening
from worker.delivery.successors import Successors
from worker.delivery.two_clocks import Moment
from worker.delivery.unknown_organizations import AskFleet
from worker.delivery.untried_endings import UntriedEndings
from worker.integrations.model import Integration
from worker.ordering.sealed_values import Seals
from worker.ordering.user_digests import UserKeys
from worker.reasons import ErrorCode

_PROBE_MARGIN_SECONDS = 5
"""So much longer than an attempt may take, a probe that nobody hears of any more is over."""


def build_pipeline(
    *,
    routes: Routes,
    sender: Sender,
    gate: StoreGate,
    users: UserKeys,
    policy: RetryPolicy,
    delay: DelayKindTargets,
    queues: Names,
    limits: PipelineLimits,
    observer: Observer,
    receipts: ReceiptBook | None = None,
    is_known: Callable[[str], bool] = lambda _: True,
    seals: Seals | None = None,
    inlets: KnownInlets | None = None,
    ask_fleet: AskFleet | None = None,
    clock: Callable[[], float] = time.time,
    jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311
) -> Pipeline:
    """A pipeline; `clock` gives seconds since 1970, `jitter` a number in [-1, 1]. Without
    `receipts` none are made; `is_known` says which ids of integrations they may name. To be called
    in the event loop.
    """
    inlets = inlets or KnownInlets()

    def now_ms() -> int:
        return int(clock() * 1000)

    def now() -> Moment:
        return Moment(now_ms(), time.monotonic())

    in_force = RoutesInForce(routes, inlets)
    routing = Routing(in_force, policy, limits, is_known)
    successors = Successors(delay, queues, BundleGathering(delay, now_ms), gate.epochs, now_ms)
    parked_again = ParkedAgain(is_known)
    receipting = Receipting(receipts, in_force.get, is_known, now_ms)
    decisions = EventDecisions(users, receipting.facts)
    untried = UntriedEndings(successors, observer, receipting)
    faults = Faults(untried, now)
    endings = Endings(successors, faults, policy, limits, observer, receipting, now, jitter)
    adoption = Adoption(endings, untried, faults, observer)
    attempt_seconds = policy.attempt_timeout_seconds
    runner = AdobeRounds(
        ListeningSender(sender, inlets), gate, attempt_seconds, limits.unclear_seconds, seals
    )
    shared = SharedParts(
        runner=runner,
        gate=gate,
        pacer=RequestPacer(needed_core()),
        begun=Begun(limits.retries_in_hand, time.monotonic),
        suspects=SuspectTurns(time.monotonic),
        pauses=Pauses(attempt_seconds, policy.min_gap_seconds, policy.min_gap_seconds),
        max_events_in_flight=limits.events_in_flight,
    )

    def new_lane(integration: Integration) -> Lane:
        probe_timeout = attempt_seconds + _PROBE_MARGIN_SECONDS
        block = Block(limits.block_probe_seconds, probe_timeout)
        return Lane(
            integration,
            block,
            shared,
            endings.conclude,
            endings.hand_over,
            endings.give_back,
            adoption.release,
        )

    lanes = Lanes(new_lane, partial(faults.end_safely, untried.give_up), gate, shared.pacer)

    def end_blocks_of_loss() -> None:
        """An operator has accepted what the state has lost: nobody has to wait for a probe."""
        for lane in lanes:
            failure = lane.block.failure
            is_of_loss = failure is not None and failure.error is ErrorCode.STATE_LOST
            if is_of_loss and lane.block.end():
                observer.unblocked(lane.integration.id)

    gate.epochs.when_accepted(end_blocks_of_loss)
    mismatch = FormMismatch(
        inlets,
        runner,
        gate,
        decisions,
        now_ms=now_ms,
        lane_of=lanes.of,
        block=endings.block,
        wait=endings.decide_anew,
        conclude=endings.conclude,
        end_safely=faults.end_safely,
    )
    endings.form_refused = mismatch.meet
    lanes.rounds_beside = mismatch.tasks
    return Pipeline(
        screening=Screening(decisions.read, queues, limits),
        routes=in_force,
        routing=routing,
        inlets=inlets,
        decisions=decisions,
        lanes=lanes,
        endings=endings,
        untried=untried,
        adoption=adoption,
        giving_back=GivingBack(
            lanes,
            successors,
            observer,
            partial(faults.end_safely, untried.park_for_stop),
            mismatch.give_back,
            endings.give_back,
        ),
        receipting=receipting,
        successors=successors,
        epochs=gate.epochs,
        returned_messages=ReturnedMessages(
            queues, gate.epochs, observer, NewerContracts(queues, successors, observer), now_ms
        ),
        returned_bundles=ReturnedBundles(
            in_force, routing, lanes, inlets, limits, successors, observer, parked_again, now_ms
        ),
        now_ms=now_ms,
        ask_fleet=ask_fleet,
    )
