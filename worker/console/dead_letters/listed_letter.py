"""A dead letter as lists show it: by codes and ids, without its body. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from worker.broker.dead_letter import DeadLetter, fingerprint_of
from worker.console.dead_letters.asked import Meant
from worker.console.dead_letters.previewed_letters import letter_name
from worker.evidence.letter_cause import Fingerprint
from worker.ledger.replay_prospects import LetterLife, Prospect
from worker.letters.counted_groups import LetterGroup, LetterGroups
from worker.letters.letter_events import LetterEvent
from worker.letters.letter_key import LetterKeys
from worker.reasons import NO_INTEGRATION

BARS: Final = 24
"""Of a group's arrivals over the time in which its letters died."""
NO_LIFE: Final = LetterLife("dead", None, None, "unknown")


class ListedLetter(NamedTuple):
    """A dead letter in a list: `key` is that of the life that ended with it, `event` the id by
    which receipts call it. `other_keys` are those that the life may have where no worker tried the
    event, or where one up to 0.3.0 called it otherwise.
    """

    letter: DeadLetter
    group: str
    event: str
    key: bytes
    other_keys: Sequence[bytes] = ()

    @property
    def name(self) -> bytes:
        """What tells a dead letter from all others but copies of it."""
        return letter_name(self.letter.id, self.key)

    @property
    def keys(self) -> Sequence[bytes]:
        """The keys that the life of a dead letter may have, the likeliest first."""
        return (self.key, *self.other_keys)


def listed(event: LetterEvent, keys: LetterKeys) -> ListedLetter:
    """What lists need of a dead letter's event."""
    name, _ = keys.named(event.body)
    group = fingerprint_of(event.letter).group
    key = keys.key_of(event)
    others = keys.former_lives_of(event) if event.letter.attempts else keys.lives_of(event)
    return ListedLetter(event.letter, group, name, key, [one for one in others if one != key])


@dataclass(frozen=True, slots=True)
class Inventory:
    """The dead letters of one pass over the queue at `at` (ms since 1970), the newest first, and
    what receipts know of them. Of `total` letters the last `unseen` were not looked at, since there
    are too many. `ledger_says` is why receipts could not be asked, "" when they could. `groups` are
    those of all letters, which most pages ask for.
    """

    at: int
    total: int
    letters: Sequence[ListedLetter]
    lives: Mapping[bytes, LetterLife]
    ledger_says: str = ""
    groups: Sequence[ShownGroup] = ()
    unseen: int = 0

    def life_of(self, one: ListedLetter) -> LetterLife:
        """What receipts know of a dead letter."""
        key = self.life_key(one)
        return NO_LIFE if key is None else self.lives[key]

    def life_key(self, one: ListedLetter) -> bytes | None:
        """The key of the life that ended with a dead letter, None where receipts know none."""
        return next((key for key in one.keys if key in self.lives), None)

    def chosen(self, meant: Meant, now_ms: int) -> Sequence[ListedLetter]:
        """The dead letters that are meant, the newest first."""
        if meant == Meant():
            return self.letters
        chosen = replace(meant.filter(now_ms), group=None)
        return [
            one
            for one in self.letters
            if meant.group in ("", one.group)
            and chosen.matches(one.letter)
            and meant.kind in (None, self.life_of(one).choice or "unknown")
        ]

    def withdrawals(self, letters: Iterable[ListedLetter]) -> int:
        """How many of these dead letters take a consent back."""
        return sum(self.life_of(one).choice == "withdrawn" for one in letters)


class ShownGroup(NamedTuple):
    """Dead letters of one cause. `arrivals` counts them in equal spans of time."""

    fingerprint: Fingerprint
    counted: LetterGroup
    withdrawals: int
    arrivals: Sequence[int]

    @property
    def id(self) -> str:
        """The id of a group of dead letters, as the commands call it."""
        return self.fingerprint.group

    @property
    def integration(self) -> str:
        """The integration whose dead letters the group has."""
        return self.fingerprint.integration or NO_INTEGRATION


def inventory_of(
    at: int,
    total: int,
    letters: Sequence[ListedLetter],
    lives: Mapping[bytes, LetterLife],
    ledger_says: str = "",
    unseen: int = 0,
) -> Inventory:
    """An inventory of the dead letters, with all that is worked out once."""
    newest_first = sorted(letters, key=lambda one: one.letter.dead_at_ms or 0, reverse=True)
    made = Inventory(at, total, newest_first, lives, ledger_says, unseen=unseen)
    return replace(made, groups=groups_of(made, newest_first))


def groups_of(inventory: Inventory, letters: Sequence[ListedLetter]) -> Sequence[ShownGroup]:
    """The groups of some dead letters, those with the most withdrawals first, then the largest."""
    if inventory.groups and letters is inventory.letters:
        return inventory.groups
    counted = LetterGroups()
    counted.add(one.letter for one in letters)
    members: dict[str, list[ListedLetter]] = {}
    for one in letters:
        members.setdefault(one.group, []).append(one)
    shown = []
    for fingerprint, group in counted.largest_first():
        theirs = members[fingerprint.group]
        arrivals = _arrivals(group, theirs)
        shown.append(ShownGroup(fingerprint, group, inventory.withdrawals(theirs), arrivals))
    return sorted(shown, key=lambda one: (-one.withdrawals, -one.counted.count, one.id))


def canaries_among(inventory: Inventory, letters: Iterable[ListedLetter]) -> Sequence[bytes]:
    """The lives of the dead letters that tell whether Adobe takes such ones, the best first: one
    that is likely skipped tells nothing. Withdrawals come before others.
    """
    ranks: dict[bytes, tuple[bool, bool]] = {}
    for one in letters:
        life = inventory.life_of(one)
        if life.prospect in ("sent", "unknown"):
            ranks.setdefault(one.key, (life.prospect != "sent", life.choice != "withdrawn"))
    return sorted(ranks, key=lambda key: ranks[key])


class Preview(NamedTuple):
    """What an act on dead letters would come to, as far as receipts tell: letters and, of these,
    withdrawals. `held_back` letters stay, since the state was lost; None where the state can't be
    asked.
    """

    letters: int
    withdrawals: int
    prospects: Mapping[Prospect, tuple[int, int]]
    held_back: int | None


def preview_of(
    inventory: Inventory, letters: Sequence[ListedLetter], held_back: int | None
) -> Preview:
    """The preview of an act on these dead letters."""
    counts: Counter[tuple[Prospect, bool]] = Counter()
    for one in letters:
        life = inventory.life_of(one)
        counts[life.prospect, life.choice == "withdrawn"] += 1
    prospects: dict[Prospect, tuple[int, int]] = {}
    for prospect in ("sent", "superseded", "duplicate", "unknown"):
        taken_back = counts[prospect, True]
        prospects[prospect] = (taken_back + counts[prospect, False], taken_back)
    return Preview(len(letters), inventory.withdrawals(letters), prospects, held_back)


def _arrivals(group: LetterGroup, letters: Sequence[ListedLetter]) -> list[int]:
    bars = [0] * BARS
    if group.first_ms is None or group.last_ms is None:
        return bars
    span = max(1, group.last_ms - group.first_ms + 1)
    for one in letters:
        if one.letter.dead_at_ms is not None:
            bars[(one.letter.dead_at_ms - group.first_ms) * BARS // span] += 1
    return bars
