"""The integrations of a directory, kept in force while files come, change, break and go."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

from worker.integrations.change_summary import Change, compare
from worker.integrations.coherence import NOTHING_AROUND, Surroundings
from worker.integrations.directory import Readings, read_directory
from worker.integrations.loading import EndpointCheck, InvalidIntegration, InvalidIntegrations
from worker.integrations.lookup_index import Index, index_of
from worker.integrations.routing_lookup import IntegrationLookup
from worker.integrations.safe_files import printable
from worker.integrations.secret_references import DEFAULT_DIRECTORIES, SecretSource
from worker.integrations.state_id_needs import AskStates, Standing, standing_of, with_state_ids
from worker.integrations.thread_waits import in_thread
from worker.integrations.version_claims import InForce, assign
from worker.shortened_lists import first

DEFAULT_GRACE_SECONDS: Final = 600.0
_ASK_AGAIN_SECONDS: Final = 60.0
_SLOW_SECONDS: Final = 30.0
"""From then on a directory that does not answer is worth a note."""


class _Prepared(NamedTuple):
    """What is to be put into force, worked out at `now` (seconds of the registry's clock)."""

    readings: Readings
    now: float
    indexed: Index
    seen_now: dict[str, tuple[InForce, str]]
    change: Change


class IntegrationRegistry(IntegrationLookup):
    """Reads the integrations at `load`, and again at each `refresh`; looked up in one thread only.

    A vanished file's last version stays in force for `grace_seconds`. `unknown_organization` says
    whether events of an organization that nothing is known of are parked. `clock` is in seconds.
    """

    def __init__(
        self,
        directory: Path,
        endpoint_check: EndpointCheck,
        env: Mapping[str, str] | None = None,
        *,
        secret_env_prefix: str = "",
        secret_directories: tuple[str, ...] = DEFAULT_DIRECTORIES,
        grace_seconds: float = DEFAULT_GRACE_SECONDS,
        unknown_organization: Literal["skip", "park"] = "skip",
        clock: Callable[[], float] = time.monotonic,
        surroundings: Surroundings = NOTHING_AROUND,
    ) -> None:
        super().__init__(clock, is_strict=unknown_organization == "park")
        self._directory = directory
        self._surroundings = surroundings
        self._endpoint_check = endpoint_check
        self._secrets = SecretSource(
            os.environ if env is None else env, secret_env_prefix, secret_directories
        )
        self._grace_seconds = grace_seconds
        self._readings: Readings = {}
        self._reading_since: float | None = None
        self.ask_states: AskStates | None = None
        """Who tells where the state of each integration is; without it, under its id."""
        self._standing: Standing | None = None
        self._asked_at = -math.inf
        self._state_ids: Mapping[str, str] = {}
        self._settling = asyncio.Lock()

    @property
    def invalid(self) -> list[InvalidIntegration]:
        """What is wrong with the integrations, file by file."""
        return self._assignment.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the integrations' directory and files, in sentences."""
        of_all = [self._trouble] if self._trouble else []
        return (*of_all, *(str(one) for one in self._assignment.problems))

    @property
    def notes(self) -> list[str]:
        """What somebody should look at of the integrations, in sentences: bad files, files that are
        gone, and integrations whose events wait, the first of each.
        """
        of_all = [self._trouble] if self._trouble else []
        invalid = (str(one) for one in self._assignment.problems)
        gone = (
            f"{printable(known.path)}: is gone; integration {one} stays in force for "
            f"{self._grace_seconds:g} s after that was noticed"
            for one, known in sorted(self._assignment.in_force.items())
            if known.missed_at is not None
        )
        missing = (
            f"integration {one.integration_id} of organization {printable(one.organization_id)} "
            "was in force within the last 24 hours, and is not any more: its events wait in doubt"
            for one in sorted(self.missing)
        )
        notes = [
            *of_all,
            *first(invalid, "file", "; `consent-worker integrations validate` names them all"),
            *first(gone, "integration", " whose file is gone"),
            *first(missing, "integration", " that worked within the last 24 hours"),
        ]
        if self._reading_since is not None and self._clock() - self._reading_since > _SLOW_SECONDS:
            notes.append(
                f"{printable(self._directory)}: does not answer; what was read before is in force"
            )
        return notes

    def counts(self) -> dict[str, int]:
        """How many integrations are `enabled`, `paused`, `disabled` and `vanished` (which are one
        of these, too), how many are `missing` after that, and how many files are `invalid`.
        """
        counts = dict.fromkeys(("enabled", "paused", "disabled", "vanished"), 0)
        for known in self._assignment.in_force.values():
            counts[known.integration.state] += 1
            counts["vanished"] += known.missed_at is not None
        missing, invalid = len(self.missing), len(self._assignment.problems)
        return counts | {"missing": missing, "invalid": invalid}

    def load(self) -> Change:
        """Read all integrations' files. Raises `InvalidIntegrations` when the directory can't be
        listed; what is wrong with single files is in `problems`.
        """
        try:
            readings = self._read()
        except InvalidIntegration as problem:
            raise InvalidIntegrations([problem]) from None
        return self._adopt(readings)

    def refresh(self) -> Change | None:
        """Read changed integrations, and end what is over; None when nothing has come of it."""
        try:
            readings = self._read()
        except InvalidIntegration as problem:
            return self._keep_all(str(problem))
        return self._adopt(readings) or None

    async def watch(self, interval_seconds: float, on_change: Callable[[Change], None]) -> None:
        """Refresh the integrations every `interval_seconds`, for ever. Files are read in a thread
        of its own, which keeps neither the loop nor the end of the process waiting.
        """
        while True:
            await asyncio.sleep(interval_seconds)
            self._reading_since = self._clock()
            change: Change | None
            try:
                readings = await in_thread(self._read)
                self._reading_since = None
                change = await self.settle(readings)
            except InvalidIntegration as problem:
                change = self._keep_all(str(problem))
            except Exception as error:  # a fault of ours must not end the watch
                name = type(error).__name__
                change = self._keep_all(f"{printable(self._directory)}: can't be read ({name})")
            finally:
                self._reading_since = None
            if change:
                on_change(change)

    async def settle(self, readings: Readings | None = None) -> Change | None:
        """Learn where the state of each integration is, and put into force what was read, or stands
        already. None when that can't be learned now: then nothing new is put into force, since an
        integration without its state would let older choices win.
        """
        async with self._settling:
            if readings is None:
                readings = self._readings
            is_changed = readings is not self._readings
            is_due = self._clock() - self._asked_at >= _ASK_AGAIN_SECONDS
            if self.ask_states is not None and (is_due or is_changed):
                new = readings if is_changed else None
                standing = await in_thread(lambda: self._standing_with(new))
                if is_due or not standing.is_as(self._standing):
                    state_ids = await self.ask_states(standing)
                    if state_ids is not None:
                        self._standing, self._state_ids = standing, state_ids
                        self._asked_at = self._clock()
                        readings = with_state_ids(readings, state_ids)
                    elif is_changed or self._standing is None:
                        return None
            return self._commit(await in_thread(lambda: self._prepare(readings)))

    def _standing_with(self, readings: Readings | None) -> Standing:
        """With what was read, if that is new."""
        assignment = self._assignment
        if readings is not None:
            before = assignment.in_force
            assignment = assign(readings, before, self._clock(), self._grace_seconds)
        return standing_of(assignment, self._missing.gone, self._state_ids)

    def _read(self) -> Readings:
        return read_directory(
            self._directory,
            self._readings,
            self._secrets,
            self._endpoint_check,
            time.time_ns(),
            self._surroundings,
        )

    def _keep_all(self, trouble: str) -> Change | None:
        """A volume that is away for a moment must not take every integration with it."""
        was_told = self._trouble == trouble
        self._trouble = trouble
        return None if was_told else Change(problems=(trouble,))

    def _adopt(self, readings: Readings) -> Change:
        """Put into force what was read."""
        return self._commit(self._prepare(readings))

    def _prepare(self, readings: Readings) -> _Prepared | None:
        """Work out what `readings` put into force, and change nothing yet: with thousands of
        integrations that takes long, and events are looked up meanwhile. None where nothing is new.
        """
        is_waiting = any(one.missed_at is not None for one in self._assignment.in_force.values())
        if readings is self._readings and not is_waiting and self._trouble is None:
            return None
        readings = with_state_ids(readings, self._state_ids)
        now, before = self._clock(), self._assignment.in_force
        index = index_of(assign(readings, before, now, self._grace_seconds))
        told = tuple(str(one) for one in index.assignment.problems)
        change = compare(before, index.assignment.in_force, self.problems, told)
        return _Prepared(readings, now, index, self._seen_in(index.assignment), change)

    def _commit(self, prepared: _Prepared | None) -> Change:
        if prepared is None:
            if self._recent.forget_old(self._clock()):
                self._index_missing()
            return Change()
        before, missing_before = self._assignment.in_force, self.missing
        self._readings, self._trouble = prepared.readings, None
        self._index, self._seen_now = prepared.indexed, prepared.seen_now
        self._note_lost(before, prepared.now)
        self._index_missing()
        missing = {one.integration_id for one in self.missing - missing_before}
        return replace(prepared.change, missing=tuple(sorted(missing)))
