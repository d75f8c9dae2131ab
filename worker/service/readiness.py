"""What is wrong with a worker, and what somebody should look at: for its endpoints of health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.adobe.endpoints import INSECURE
from worker.broker.queue_names import Names
from worker.integrations.coherence import DEVICES
from worker.integrations.model import Integration
from worker.ordering.lasting_store import LastingStore
from worker.ordering.secret_marks import GUESSABLE
from worker.service.running_parts import Parts
from worker.shortened_lists import first

CLOCK_NOTE_SECONDS: Final = 30.0
"""From how far off the others' clocks ours is told of."""


def problems(parts: Parts) -> list[str]:
    """What keeps this worker from working now, for readiness."""
    problems = []
    if parts.is_stopping:
        problems.append("stopping")
    if not parts.registry.has_any:
        problems.append("integrations: none is valid, see the notes")
    session = parts.broker.session if parts.broker else None
    if parts.broker is not None and parts.broker.stands_by:
        pass  # it is there to take over, and says so in a note
    elif session is None:
        reason = parts.broker.last_problem if parts.broker else "not started"
        problems.append(f"broker: {reason}")
    elif session.publish_trouble:
        problems.append(f"broker: {session.publish_trouble}")
    if parts.gate is not None and not parts.gate.is_open:
        problems += [f"ordering: {one}" for one in parts.gate.problems]
    return problems


def notes(parts: Parts) -> list[str]:
    """What does not keep a worker from working, but should be looked at. Anybody may read it:
    nothing of it is Adobe's.
    """
    blocked = (
        f"integration {lane.integration.id} is blocked: {lane.block.failure.error}; "
        "the log has more of it, integration.blocked"
        for lane in parts.lanes()
        if lane.block.failure is not None
    )
    notes = parts.registry.notes + first(blocked, "more integrations that are blocked")
    if parts.settings.allow_insecure:
        notes.append(INSECURE)
    if parts.set_up is not None:
        notes += parts.set_up.notes
    if parts.broker is not None and parts.broker.stands_by:
        lock = parts.topology.names.single_worker
        notes.append(
            f"stands by and consumes nothing: another worker holds the queue {lock}; more than "
            "one at work needs Redis (CONSENT_WORKER_STATE_URL)"
        )
    if session := parts.broker.session if parts.broker is not None else None:
        notes += first(
            event_queue_notes(parts.topology.names, session.watch.consumers),
            "more queues of which the same is true",
        )
    forgetful = (
        f"integration {one.id}: {DEVICES}"
        for one in _sent_by(parts)
        if one.replaces_record and one.events == "user" and one.enabled
    )
    notes += first(forgetful, "more integrations of which the same is true")
    if parts.questions is not None:
        notes += first(parts.questions.notes, "more integrations whose inlet is raw now")
    store = parts.gate.store if parts.gate is not None else None
    if isinstance(store, LastingStore) and store.digests_are_guessable:
        notes.append(GUESSABLE)
    notes += _waiting_for_state(parts)
    if parts.gate is not None and parts.gate.epochs.problem:
        notes.append(parts.gate.epochs.problem)
    if parts.receipts is not None and parts.receipts.trouble:
        notes.append(
            f"receipts are away, and events are acknowledged without: {parts.receipts.trouble}"
        )
    offset = parts.clock.seconds
    if offset is not None and abs(offset) >= CLOCK_NOTE_SECONDS:
        notes.append(
            f"this worker's clock is {abs(offset):.0f} s {'slow' if offset > 0 else 'fast'}, "
            "by the replies of Adobe"
        )
    return notes


def event_queue_notes(names: Names, consumers: Mapping[str, int]) -> list[str]:
    """A note on each event queue from which not all workers take: they have other lists."""
    every = consumers.get(names.events, 0)
    return [
        f"{consumers[one]} of {every} workers take events from {one}: the others have another "
        "CONSENT_WORKER_EVENT_QUEUES, and before the last of these is gone, it must be empty"
        for one in names.event_queues
        if consumers.get(one, every) < every
    ]


def _waiting_for_state(parts: Parts) -> list[str]:
    """Of which integrations a part of the state is away, while that of others is there."""
    gate = parts.gate
    if gate is None or not gate.problems or not gate.is_open:
        return []
    waiting = (
        f"integration {one.id} waits: its state is away"
        for one in parts.registry.integrations
        if not gate.is_open_for(one.state_id)
    )
    told = first(waiting, "more integrations that wait for their state")
    return [f"ordering: {one}" for one in gate.problems] + told


def _sent_by(parts: Parts) -> list[Integration]:
    """The integrations with the mode that is known of their inlets; none where it can't do
    harm that the state does not last.
    """
    if parts.settings.state_kind != "memory":
        return []
    cases = parts.questions.known.cases if parts.questions is not None else []
    found = {one.configured.id: one.in_force for one in cases}
    return [found.get(one.id, one) for one in parts.registry.integrations]
