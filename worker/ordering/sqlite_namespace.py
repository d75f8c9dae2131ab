"""What a state in a file keeps beside users: epochs, state ids, the integrations in force, and what
is known of inlets.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Mapping
from typing import Final

from worker.ordering.epoch import MOST_ACCEPTED, MOST_OPEN, Epochs, Loss, new_epoch
from worker.ordering.inlet_notes import MOST_CHARACTERS, MOST_INLETS
from worker.ordering.sqlite_commits import Commits
from worker.ordering.state_ids import MOST_STATE_IDS
from worker.ordering.store_protocol import REMEMBERED_AT_MOST


class SqliteEpochs:
    """The epochs of a state in a file. `clock` gives seconds since 1970. Every method raises
    `StoreUnavailable`.
    """

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
        """The epochs as they are now; None where no worker has looked yet. Changes nothing."""
        found: Epochs | None = await self._commits.read(_read)
        return found

    async def accept(self, lost: Collection[str]) -> None:
        """An operator has accepted the loss of these epochs."""
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
    """The epochs with those of `met` that are lost, as far as there is room, and the latest
    accepted ones.
    """
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
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def _write(file: sqlite3.Connection, epochs: Epochs) -> None:
    text = json.dumps([epochs.present, epochs.began_ms, epochs.losses])
    file.execute("INSERT OR REPLACE INTO facts VALUES ('epochs', ?)", (text,))


class SqliteInlets:
    """What a state in a file knows of inlets. Every method raises `StoreUnavailable`."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    async def keep(self, state_id: str, text: str) -> None:
        """See `InletKeeper`."""
        name = _name(state_id)

        def keep(file: sqlite3.Connection) -> None:
            others = "SELECT COUNT(*) FROM facts WHERE name LIKE 'inlet %' AND name != ?"
            if file.execute(others, (name,)).fetchone()[0] < MOST_INLETS:
                file.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, text))

        if len(text) <= MOST_CHARACTERS:
            await self._commits.write(keep)

    async def kept(self, state_ids: Collection[str]) -> dict[str, str]:
        """See `InletKeeper`."""

        def read(file: sqlite3.Connection) -> dict[str, str]:
            found = {}
            for one in state_ids:
                query = "SELECT value FROM facts WHERE name = ?"
                row = file.execute(query, (_name(one),)).fetchone()
                if row is not None and isinstance(row[0], str):
                    found[one] = row[0]
            return found

        known: dict[str, str] = await self._commits.read(read)
        return known


def _name(state_id: str) -> str:
    return f"inlet {state_id}"


def remember(file: sqlite3.Connection, names: Collection[str], until_ms: int) -> None:
    """Keep the names of integrations until then (ms since 1970), and of all the latest
    `REMEMBERED_AT_MOST`.
    """
    file.executemany(
        "INSERT OR REPLACE INTO integrations VALUES (?, ?)",
        [(one.encode(errors="surrogatepass"), until_ms) for one in names],
    )
    file.execute(
        "DELETE FROM integrations WHERE name NOT IN "
        "(SELECT name FROM integrations ORDER BY until_ms DESC LIMIT ?)",
        (REMEMBERED_AT_MOST,),
    )


def remembered(file: sqlite3.Connection, now_ms: int) -> set[str]:
    """The names of integrations that are still to be kept at `now_ms` (ms since 1970)."""
    rows = file.execute("SELECT name FROM integrations WHERE until_ms > ?", (now_ms,)).fetchall()
    return {_decoded(name) for (name,) in rows if isinstance(name, bytes)}


def _decoded(name: bytes) -> str:
    try:
        return name.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return name.decode(errors="replace")


_PREFIX: Final = "state "
_WRITES: Final = "writes of state ids"
_NUMBER: Final = re.compile("[0-9]{1,15}", re.ASCII)
_PUT: Final = "INSERT OR REPLACE INTO facts VALUES (?, ?)"


class SqliteStateIds:
    """The state ids of a state in a file. Every method raises `StoreUnavailable`."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    async def read(self) -> tuple[Mapping[str, str], int]:
        """See `StateIdKeeper`."""
        texts: Mapping[str, str]
        texts, writes = await self._commits.read(lambda file: (_texts(file), _writes(file)))
        return texts, writes

    async def write(self, texts: Mapping[str, str], writes_before: int) -> bool:
        """See `StateIdKeeper`."""

        def write(file: sqlite3.Connection) -> bool:
            if _writes(file) != writes_before:
                return False
            there = _texts(file).keys()
            room = MOST_STATE_IDS - len(there)
            new = [one for one in texts if one not in there][: max(0, room)]
            kept = {*there, *new}
            rows = [(_PREFIX + one, text) for one, text in texts.items() if one in kept]
            file.executemany(_PUT, rows)
            file.execute(_PUT, (_WRITES, str(writes_before + 1)))
            return True

        return bool(await self._commits.write(write))


def _texts(file: sqlite3.Connection) -> dict[str, str]:
    query = "SELECT name, value FROM facts WHERE name GLOB 'state *'"
    rows = file.execute(query).fetchall()
    return {name.removeprefix(_PREFIX): str(value) for name, value in rows if isinstance(name, str)}


def _writes(file: sqlite3.Connection) -> int:
    row = file.execute("SELECT value FROM facts WHERE name = ?", (_WRITES,)).fetchone()
    return int(row[0]) if row is not None and _NUMBER.fullmatch(str(row[0])) else 0
