"""Settles with the store, and so with the fleet, where the state of each integration is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import structlog

from worker.integrations.state_id_needs import Standing
from worker.ordering.state_ids import (
    GIVEN_AWAY,
    Settled,
    StateIdKeeper,
    StateRecord,
    decode,
    settle_state_ids,
)
from worker.ordering.store_protocol import StoreUnavailable

log = structlog.get_logger(__name__)

_MOST_TRIES: Final = 20
"""Workers that settle at the same moment, and each write before another, are no more."""


async def take_over(keeper: StateIdKeeper, standing: Standing) -> Mapping[str, str]:
    """The state id of each integration in force, which the store remembers from now on. Raises
    `StoreUnavailable`.
    """
    for _ in range(_MOST_TRIES):
        settled, writes_before = await _look(keeper, standing)
        texts = {
            one: GIVEN_AWAY if record is None else record.encode()
            for one, record in settled.changes.items()
        }
        if not texts or await keeper.write(texts, writes_before):
            _tell(settled, standing)
            return settled.state_ids
    raise StoreUnavailable("others write the state ids of integrations all the time")


async def look_up(keeper: StateIdKeeper, standing: Standing) -> Mapping[str, str]:
    """The state ids for a command beside the workers: as `take_over`, but changes nothing. Raises
    `StoreUnavailable`.
    """
    settled, _ = await _look(keeper, standing)
    return settled.state_ids


async def _look(keeper: StateIdKeeper, standing: Standing) -> tuple[Settled, int]:
    texts, writes_before = await keeper.read()
    decoded = {one: decode(text) for one, text in texts.items()}
    records: dict[str, StateRecord] = {one: r for one, r in decoded.items() if r is not None}
    return settle_state_ids(records, standing, int(time.time() * 1000)), writes_before


def _tell(settled: Settled, standing: Standing) -> None:
    """Once for a fleet: who was told by the store that it is so already has nothing to tell."""
    for one, former in settled.taken.items():
        if standing.known.get(one) != settled.state_ids[one]:
            log.warning("integrations.state_taken_over", integration=one, former=former)
    for one in settled.anew:
        log.warning("integrations.state_begun_anew", integration=one, state=settled.state_ids[one])
