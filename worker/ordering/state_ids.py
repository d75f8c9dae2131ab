"""Under which id the state of each integration is kept: by that an integration keeps its state when
it gets another id.

The state remembers, for every id that was in force, where it sent to (a digest of its *target*) and
its *state id*. An id that is new, with the target of one that is in force no more, takes over the
state of that one. Each state id belongs to one id at most, so no two targets ever share a state.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from worker.integrations.loading import is_usable_id
from worker.integrations.state_id_needs import Standing

MOST_STATE_IDS: Final = 100_000
"""Ids that are remembered; one beyond them has its own id as its state id."""
SEEN_EVERY_MS: Final = 3_600_000
"""How exactly it is known when an id was last in force, unless a worker saw it go."""
GIVEN_AWAY: Final = ""
"""In place of what is remembered of an id whose state another one has now."""
_FRESH: Final = re.compile(r"(.+)~[0-9]{1,6}")


class StateRecord(NamedTuple):
    """What is remembered of an integration's id, which was in force at `at_ms` (ms since 1970) at
    least.
    """

    target: str
    state_id: str
    at_ms: int

    def encode(self) -> str:
        """What is remembered of an integration's id, as a text for `decode`."""
        return json.dumps(self, separators=(",", ":"))


def decode(text: str) -> StateRecord | None:
    """What `StateRecord.encode` wrote; None for anything else."""
    try:
        match json.loads(text):
            case [str(target), str(state_id), int(at_ms)] if _is_state_id(state_id):
                return StateRecord(target, state_id, at_ms)
    except (ValueError, RecursionError):
        return None
    return None


class StateIdKeeper(Protocol):
    """Where the state ids of integrations are remembered. Every method may raise
    `StoreUnavailable`.
    """

    async def read(self) -> tuple[Mapping[str, str], int]:
        """A text for each integration's id, and the number of writes before."""
        ...

    async def write(self, texts: Mapping[str, str], writes_before: int) -> bool:
        """Put these texts of integrations' ids in place of what there was; False, and nothing is
        written, if somebody else has written since. New ids beyond `MOST_STATE_IDS` are left out.
        """
        ...


class MemoryStateIds:
    """Remembers the state ids of integrations within this process."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._writes = 0

    async def read(self) -> tuple[Mapping[str, str], int]:
        """See `StateIdKeeper`."""
        return dict(self._texts), self._writes

    async def write(self, texts: Mapping[str, str], writes_before: int) -> bool:
        """See `StateIdKeeper`."""
        if writes_before != self._writes:
            return False
        for one, text in texts.items():
            if one in self._texts or len(self._texts) < MOST_STATE_IDS:
                self._texts[one] = text
        self._writes += 1
        return True


@dataclass(frozen=True, slots=True)
class Settled:
    """The `state_ids` of all integrations in force; what is to be remembered of which ids, with
    None for one whose state is given away; the `taken` states, by id with the former one; and ids
    that begin `anew`, since another one has the state that is named like them.
    """

    state_ids: Mapping[str, str]
    changes: Mapping[str, StateRecord | None]
    taken: Mapping[str, str]
    anew: tuple[str, ...]


def settle_state_ids(
    records: Mapping[str, StateRecord], standing: Standing, now_ms: int
) -> Settled:
    """Give every integration in force its state id. Pure.

    Who is known with its target keeps what it has. Then those that are new, or that send elsewhere
    now, take over from one with their target that is there no more, of several the one most lately
    in force. One that only sends elsewhere keeps its state, if nobody has taken it over.
    """
    targets, known = standing.targets, standing.known
    states = {
        one: records[one].state_id
        for one, target in targets.items()
        if one in records and records[one].target == target
    }
    gone = _seen_leaving(records, standing, now_ms)
    free = {
        one: record
        for one, record in {**records, **gone}.items()
        if one not in states and one not in standing.doubtful
    }
    movers = sorted(one for one in targets if one not in states)
    taken: dict[str, str] = {}
    for one in movers:
        former = _former_of(targets[one], known.get(one), free)
        if former is not None and former != one:
            taken[one] = former
            states[one] = free.pop(former).state_id
    owned = set(states.values()) | {
        record.state_id for other, record in records.items() if other not in taken.values()
    }
    anew = []
    for one in movers:
        if one in states:
            continue
        own = records.get(one)
        if own is not None and one not in taken.values():
            states[one] = own.state_id
            continue
        states[one] = state = _unowned(one, known.get(one), owned)
        owned.add(state)
        if state not in (one, known.get(one)):
            anew.append(one)
    changes: dict[str, StateRecord | None] = dict(gone)
    changes |= dict.fromkeys(taken.values())
    changes |= {
        one: StateRecord(target, states[one], now_ms)
        for one, target in targets.items()
        if one not in records
        or records[one][:2] != (target, states[one])
        or abs(now_ms - records[one].at_ms) >= SEEN_EVERY_MS
    }
    return Settled(states, changes, taken, tuple(anew))


def _seen_leaving(
    records: Mapping[str, StateRecord], standing: Standing, now_ms: int
) -> dict[str, StateRecord]:
    """Those with which the worker has worked until now."""
    return {
        one: records[one]._replace(at_ms=now_ms)
        for one in standing.known
        if one in records and one not in standing.targets and one not in standing.doubtful
    }


def _former_of(target: str, known: str | None, free: Mapping[str, StateRecord]) -> str | None:
    """Whose state goes to an id with this target. One that works with a state already goes on with
    it: workers that see a file renamed at different moments take over from each other.
    """
    fitting = [one for one, record in free.items() if record.target == target]
    return max(
        fitting,
        key=lambda one: (free[one].state_id == known, free[one].at_ms, one),
        default=None,
    )


def _unowned(integration_id: str, known: str | None, owned: Collection[str]) -> str:
    for state_id in (known, integration_id):
        if state_id is not None and state_id not in owned:
            return state_id
    number = 2
    while f"{integration_id}~{number}" in owned:
        number += 1
    return f"{integration_id}~{number}"


def _is_state_id(text: str) -> bool:
    fresh = _FRESH.fullmatch(text)
    return is_usable_id(fresh[1] if fresh else text)
