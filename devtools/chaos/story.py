"""What happens in a run, and what is wrong, told to a file and kept where something is wrong."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

KEPT: Final = Path(".chaos")
"""Ignored by git."""
_SHOWN_PROBLEMS: Final = 15


class Story:
    """`problems` are broken promises; `directory` has what is to be kept of a failed run."""

    def __init__(self, directory: Path) -> None:
        self._began = time.monotonic()
        self._file = (directory / "story.txt").open("w", buffering=1)
        self.directory = directory
        self.problems: list[str] = []

    def tell(self, sentence: str) -> None:
        """To the file."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._file.write(f"{moment} {time.monotonic() - self._began:7.1f} s  {sentence}\n")

    def say(self, sentence: str) -> None:
        """To whoever runs it, too."""
        self.tell(sentence)
        print(sentence, flush=True)

    def wrong(self, what: str) -> None:
        """A promise is broken."""
        self.problems.append(what)
        self.tell(f"WRONG: {what}")

    def all_wrong(self, when: str, problems: Iterable[str]) -> None:
        """Several of one moment."""
        for one in problems:
            self.wrong(f"{when}: {one}")

    def keep(self, name: str) -> Path:
        """Copy all that was kept to a directory below `KEPT`, and return that."""
        kept = KEPT / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.directory, kept)
        return kept

    def shown_problems(self) -> list[str]:
        """The first ones."""
        more = len(self.problems) - _SHOWN_PROBLEMS
        return self.problems[:_SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
