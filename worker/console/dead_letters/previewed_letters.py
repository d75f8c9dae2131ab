"""The dead letters that a preview counted: an act takes these, each as often as it was counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Final

from worker.letters.letter_events import LetterEvent, OpenedLetter
from worker.letters.letter_key import LetterKeys

_NAME_BYTES: Final = 16


def letter_name(letter_id: str, key: bytes) -> bytes:
    """What tells a dead letter from all others: its id and `key`, that of the life which ended with
    it. Copies of a letter have one name.
    """
    return hashlib.blake2b(key + letter_id.encode(), digest_size=_NAME_BYTES).digest()


class LettersLeft:
    """The dead letters of those `counted` that an act has not handled yet, by their names. A pass
    claims a letter when it chooses it, and settles it when it was replayed or discarded; what it
    leaves the next one may claim.
    """

    def __init__(self, counted: Mapping[bytes, int], keys: LetterKeys) -> None:
        self._left = dict(counted)
        self._keys = keys
        self._claimed: Counter[bytes] = Counter()

    def begin_pass(self) -> None:
        """All dead letters that are left may be claimed."""
        self._claimed.clear()

    def claim(self, event: LetterEvent, among: frozenset[bytes] | None = None) -> bool:
        """Whether this pass may take a dead letter: it was counted, and its key is `among` those
        that are meant now (None: all are).
        """
        key = self._keys.key_of(event)
        if among is not None and key not in among:
            return False
        name = letter_name(event.letter.id, key)
        if self._claimed[name] >= self._left.get(name, 0):
            return False
        self._claimed[name] += 1
        return True

    def settle(self, opened: OpenedLetter) -> None:
        """The claimed events of a dead letter were handled."""
        for event in opened.chosen:
            name = letter_name(event.letter.id, self._keys.key_of(event))
            self._claimed[name] -= 1
            if (left := self._left.pop(name, 0) - 1) > 0:
                self._left[name] = left
