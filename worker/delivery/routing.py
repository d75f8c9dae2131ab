"""Where an event goes: to which integrations, or why to none now. Pure: the pipeline acts.

An event that names no integration gets a delivery for each of its organization's. A retry, a parked
event and a replay name the one that they are for. Where a file can't be read, or has gone lately,
nobody can say whether an event is for it: such an event waits for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from worker.broker.retry_state import RetryState
from worker.delivery.inlets.mode_in_force import Routes
from worker.delivery.outcome import Dead, Failure, Outcome, Parked, Skipped
from worker.delivery.park_delays import hold_seconds
from worker.delivery.pipeline_limits import PipelineLimits
from worker.delivery.retry_policy import RetryPolicy
from worker.evidence.letter_cause import NOBODY_KNOWS_IT
from worker.integrations.model import Integration
from worker.reasons import DeadReason, ParkReason, SkipReason


class To(NamedTuple):
    """A delivery of its own, for one integration."""

    integration: Integration
    state: RetryState


class Ends(NamedTuple):
    """A delivery that ends in routing, with this outcome; `state` is that before it."""

    integration_id: str | None
    state: RetryState
    outcome: Outcome


Part = To | Ends


class Routing:
    """Says to which integrations an event goes. `routes` knows the integrations; `policy` and
    `limits` say what comes too late. `is_known` says which ids of integrations receipts may name.
    """

    def __init__(
        self,
        routes: Routes,
        policy: RetryPolicy,
        limits: PipelineLimits,
        is_known: Callable[[str], bool],
    ) -> None:
        self._routes = routes
        self._policy = policy
        self._limits = limits
        self._is_known = is_known

    def parts(self, state: RetryState, organization_id: str, now_ms: int) -> list[Part]:
        """The deliveries of an event, at least one: a copy for an integration that might have been
        has one that ends."""
        if state.integration_id is not None:
            return self._to_named(state, state.integration_id, organization_id, now_ms)
        return self._to_all(state, organization_id, now_ms)

    def doubt(self, integration_id: str | None, organization_id: str) -> str | None:
        """Why nobody can say now where an event goes that names no integration in force."""
        routes = self._routes
        if integration_id is not None:
            match routes.missing_for(organization_id).get(integration_id):
                case "broken":
                    return f"the configuration of {integration_id} is not valid; see the log"
                case "gone":
                    return f"{integration_id} was in force within the last 24 hours, and is gone"
        if routes.for_organization(organization_id) or routes.disabled_for(organization_id):
            return routes.doubt_about_all()
        return routes.doubt_about(organization_id)

    def ids_beyond(self, served: tuple[str, ...], organization_id: str) -> list[str]:
        """The organization's integrations, missing ones too, that are not among `served`."""
        routes = self._routes
        in_force = routes.for_organization(organization_id) + routes.disabled_for(organization_id)
        ids = [one.id for one in in_force] + list(routes.missing_for(organization_id))
        return [one for one in ids if one not in served]

    def _to_all(self, state: RetryState, organization_id: str, now_ms: int) -> list[Part]:
        """Each integration of the event's organization gets a delivery with a life of its own."""
        undoubted = () if state.served else self._routes.undoubted_for(organization_id)
        if undoubted:
            return [To(one, state) for one in undoubted]
        return self._to_some(state, organization_id, now_ms)

    def _to_some(self, state: RetryState, organization_id: str, now_ms: int) -> list[Part]:
        """Where some of the integrations are disabled, missing, served or in doubt, or none is."""
        routes = self._routes
        integrations = routes.for_organization(organization_id)
        disabled = routes.disabled_for(organization_id)
        missing = routes.missing_for(organization_id)
        doubt_about_all = routes.doubt_about_all()
        if state.served:
            integrations = [one for one in integrations if one.id not in state.served]
            disabled = [one for one in disabled if one.id not in state.served]
        elif not (integrations or disabled or missing):
            return [self._to_unknown(state, organization_id, now_ms)]
        parts: list[Part] = []
        if missing or state.served or doubt_about_all is not None:
            for copy in self._copies_in_doubt(state, organization_id, doubt_about_all):
                kind = missing.get(copy.integration_id or "", "broken")
                reason: DeadReason = (
                    DeadReason.UNKNOWN_INTEGRATION
                    if kind == "gone"
                    else DeadReason.INVALID_INTEGRATION
                )
                doubt = self.doubt(copy.integration_id, organization_id) or ""
                parts.append(self._in_doubt(copy, organization_id, reason, doubt, now_ms))
            state = replace(state, served=())
        parts += [Ends(one.id, state, Skipped(SkipReason.DISABLED)) for one in disabled]
        parts += [To(one, state) for one in integrations]
        return parts or [Ends(None, state, Skipped(SkipReason.SERVED))]

    def _to_unknown(self, state: RetryState, organization_id: str, now_ms: int) -> Part:
        """An event whose organization has no integration, nor had one lately."""
        doubt = self.doubt(None, organization_id)
        if doubt is None:
            return Ends(None, state, Skipped(SkipReason.NO_INTEGRATION))
        return self._in_doubt(state, organization_id, DeadReason.NO_INTEGRATION, doubt, now_ms)

    def _copies_in_doubt(
        self, state: RetryState, organization_id: str, doubt_about_all: str | None
    ) -> list[RetryState]:
        """The states of copies that wait: one for each integration that is missing, and one for
        those that nobody may know of.
        """
        ids = self.ids_beyond(state.served, organization_id)
        served = (*state.served, *ids)
        copies = [
            replace(
                state, integration_id=one, served=tuple(other for other in served if other != one)
            )
            for one in self._routes.missing_for(organization_id)
            if one in ids
        ]
        if doubt_about_all is not None:
            copies.append(replace(state, served=served))
        return copies

    def _to_named(
        self, state: RetryState, integration_id: str, organization_id: str, now_ms: int
    ) -> list[Part]:
        """A retry, a parked event or a replay, for one integration only."""
        integration = self._routes.get(integration_id)
        if integration is None or integration.organization_id != organization_id:
            return self._to_lost(state, integration_id, organization_id, now_ms)
        if not integration.enabled:
            return [_dead(state, DeadReason.INTEGRATION_DISABLED, "enable it, then replay")]
        # What was under way may have been accepted meanwhile: only the state tells.
        is_known_open = not (state.is_handed_over or state.was_returned)
        elapsed = state.elapsed_seconds(now_ms)
        if is_known_open and not self._policy.may_attempt(state.attempts_made, elapsed):
            return [
                _dead(state, DeadReason.RETRIES_EXHAUSTED, "it came back after its retry budget")
            ]
        return [To(integration, state)]

    def _to_lost(
        self, state: RetryState, integration_id: str, organization_id: str, now_ms: int
    ) -> list[Part]:
        """An event whose integration is not in force, or not its organization's any more."""
        doubt = self.doubt(integration_id, organization_id)
        if doubt is not None:
            kind = self._routes.missing_for(organization_id).get(integration_id)
            reason: DeadReason = (
                DeadReason.INVALID_INTEGRATION
                if kind == "broken"
                else DeadReason.UNKNOWN_INTEGRATION
            )
            # Each of the others has had a delivery of its own when this one was made.
            others = tuple(self.ids_beyond((integration_id,), organization_id))
            served = replace(state, served=state.served or others)
            return [self._in_doubt(served, organization_id, reason, doubt, now_ms)]
        was_never_tried = not (state.attempts_made or state.is_repeat)
        if (
            state.blocked_since_ms is not None
            and was_never_tried
            and self.ids_beyond(state.served, organization_id)
        ):
            # Its integration may have got another id while it waited. Under the old one it ends.
            to_all = self._to_all(replace(state, integration_id=None), organization_id, now_ms)
            return [Ends(integration_id, state, Skipped(SkipReason.SERVED)), *to_all]
        detail = "its organization has no integration with this id"
        if not self._is_known(integration_id):
            detail = NOBODY_KNOWS_IT
        return [_dead(state, DeadReason.UNKNOWN_INTEGRATION, detail)]

    def _in_doubt(
        self,
        state: RetryState,
        organization_id: str,
        reason: DeadReason,
        doubt: str,
        now_ms: int,
    ) -> Part:
        """Nobody can say now where the event goes; `reason` is that of its dead letter when nobody
        could for as long as a block may last.
        """
        if self._limits.is_out_of_patience(state, now_ms):
            return _dead(state, reason, doubt)
        since = replace(state, blocked_since_ms=state.blocked_since_ms or now_ms)
        outcome = Parked(
            hold_seconds(state.parks), ParkReason.IN_DOUBT, organization_id=organization_id
        )
        return Ends(state.integration_id, since, outcome)


def _dead(state: RetryState, reason: DeadReason, detail: str) -> Ends:
    return Ends(state.integration_id, state, Dead(reason, Failure(reason, detail)))
