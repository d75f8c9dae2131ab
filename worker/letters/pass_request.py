"""How a command asks the ledger that runs for a pass over the dead letters: by a file beside it."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Final

from worker.errors import WorkFailed
from worker.ledger.database import Database
from worker.ledger.known_letters import LetterPass, last_pass
from worker.moments import now_ms

_LONGEST_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.2


class PassRequest:
    """The request for a pass over the dead letters, to the ledger in the file `ledger`."""

    def __init__(self, ledger: Path) -> None:
        self._file = ledger.with_name(f"{ledger.name}.letters-wanted")

    def make(self) -> None:
        """Ask for a pass over the dead letters."""
        self._file.touch()

    def is_there(self) -> bool:
        """Whether somebody asks for a pass over the dead letters."""
        return self._file.exists()

    def take(self) -> None:
        """The pass over the dead letters begins."""
        self._file.unlink(missing_ok=True)


def pass_of_the_other(url: str) -> LetterPass:
    """The first pass over the dead letters that the ledger's process begins from now on. Raises
    `WorkFailed` where it makes none, and `LedgerTrouble`.
    """
    with closing(Database(url)) as database:
        asked_at = now_ms()
        PassRequest(database.path).make()
        until = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < until:
            with database.transaction() as connection:
                run = last_pass(connection)
            if run is not None and run.began_at >= asked_at:
                return run
            time.sleep(_LOOK_SECONDS)
    raise WorkFailed(
        f"the ledger that runs has made no pass within {_LONGEST_SECONDS:.0f} s; its log says why "
        "(ledger.letters_unread)"
    )
