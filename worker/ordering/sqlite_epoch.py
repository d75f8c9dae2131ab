"""The epochs of a state in a file: one that is made anew has another."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection

from worker.ordering.epoch import MOST_ACCEPTED, MOST_OPEN, Epochs, Loss, new_epoch
from worker.ordering.sqlite_commits import Commits


class SqliteEpochs:
    """`clock` gives seconds since 1970. Every method raises `StoreUnavailable`."""

    def __init__(self, commits: Commits, clock: Callable[[], float]) -> None:
        self._commits = commits
        self._clock = clock

    async def look(self, met: Collection[str]) -> Epochs:
        """See `EpochKeeper`."""
        now_ms = round(self._clock() * 1000)

        def look(file: sqlite3.Connection) -> Epochs:
            before = _read(file)
            now = before or Epochs(new_epoch(), now_ms, ())
            now = noted(now, met, now_ms)
            if now != before:
                _write(file, now)
            return now

        found: Epochs = await self._commits.write(look)
        return found

    async def read(self) -> Epochs | None:
        """As they are now; None where no worker has looked yet. Changes nothing."""
        found: Epochs | None = await self._commits.read(_read)
        return found

    async def accept(self, lost: Collection[str]) -> None:
        """An operator has accepted the loss of these."""
        now_ms = round(self._clock() * 1000)

        def accept(file: sqlite3.Connection) -> None:
            before = _read(file)
            if before is not None:
                losses = (
                    one._replace(accepted_ms=one.accepted_ms or now_ms)
                    if one.epoch in lost
                    else one
                    for one in before.losses
                )
                _write(file, before._replace(losses=tuple(losses)))

        await self._commits.write(accept)


def noted(epochs: Epochs, met: Collection[str], now_ms: int) -> Epochs:
    """With those of `met` that are lost, as far as there is room, and the latest accepted ones."""
    known = {epochs.present, *(one.epoch for one in epochs.losses)}
    room = MOST_OPEN - len(epochs.open_losses)
    new = [Loss(one, now_ms, 0) for one in sorted(met) if one not in known][: max(0, room)]
    accepted = [one for one in epochs.losses if one.accepted_ms]
    forgotten = set(accepted[: max(0, len(accepted) - MOST_ACCEPTED)])
    kept = [one for one in epochs.losses if one not in forgotten]
    return epochs._replace(losses=(*kept, *new))


def _read(file: sqlite3.Connection) -> Epochs | None:
    """What cannot be read is as if it were not there."""
    found = file.execute("SELECT value FROM facts WHERE name = 'epochs'").fetchone()
    try:
        present, began_ms, losses = json.loads(found[0]) if found else ("", None, ())
        if not isinstance(present, str) or not isinstance(began_ms, int):
            return None
        return Epochs(present, began_ms, tuple(Loss(str(a), int(b), int(c)) for a, b, c in losses))
    except (ValueError, TypeError):
        return None


def _write(file: sqlite3.Connection, epochs: Epochs) -> None:
    text = json.dumps([epochs.present, epochs.began_ms, epochs.losses])
    file.execute("INSERT OR REPLACE INTO facts VALUES ('epochs', ?)", (text,))
