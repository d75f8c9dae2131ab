"""`dead-letters groups`: letters that are dead of one cause, counted together."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from worker.broker.dead_letter import DeadLetter
from worker.broker.letter_filter import Filter
from worker.broker.letter_fingerprint import fingerprint_of
from worker.cli.command_support import complain, say
from worker.cli.dead_letter_pass import one_pass
from worker.cli.json_output import print_json_list
from worker.cli.known_integrations import check_integration
from worker.cli.letter_events import OpenedLetter
from worker.cli.moments import iso, told
from worker.cli.terminal import in_column
from worker.counting import counted
from worker.evidence.letter_cause import Fingerprint
from worker.reasons import NO_INTEGRATION
from worker.remedies import meaning_of, remedy_for

_MOST_GROUPS: Final = 10_000
"""Whoever may publish letters may name any integration in each."""


@dataclass(slots=True)
class LetterGroup:
    """How many letters have one fingerprint, and when the first and the last of them died, in ms
    since 1970, None where none says it.
    """

    count: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    def add(self, dead_at_ms: int | None) -> None:
        """One more letter."""
        self.count += 1
        if dead_at_ms is not None:
            self.first_ms = dead_at_ms if self.first_ms is None else min(self.first_ms, dead_at_ms)
            self.last_ms = dead_at_ms if self.last_ms is None else max(self.last_ms, dead_at_ms)


class LetterGroups:
    """The groups of letters, of which there are not too many; `ungrouped` letters are in none."""

    def __init__(self) -> None:
        self._groups: dict[Fingerprint, LetterGroup] = {}
        self.ungrouped = 0

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Count some more."""
        for letter in letters:
            fingerprint = fingerprint_of(letter)
            group = self._groups.get(fingerprint)
            if group is None:
                if len(self._groups) >= _MOST_GROUPS:
                    self.ungrouped += 1
                    continue
                group = self._groups[fingerprint] = LetterGroup()
            group.add(letter.dead_at_ms)

    def largest_first(self) -> list[tuple[Fingerprint, LetterGroup]]:
        """All groups."""
        return sorted(self._groups.items(), key=lambda one: (-one[1].count, one[0].group))


async def tell_groups(chosen: Filter, as_json: bool) -> None:
    """Print the groups of the letters that are chosen."""
    groups = LetterGroups()

    def count(opened: OpenedLetter) -> None:
        groups.add(event.letter for event in opened.chosen)

    async with one_pass("grouped") as run:
        async for _ in run.matching(chosen, count):
            pass
    run.stop.check("the groups are not complete")
    largest_first = groups.largest_first()
    if not largest_first:
        check_integration(chosen, run)
    if as_json:
        print_json_list(_document(*one) for one in largest_first)
    else:
        now_ms = int(time.time() * 1000)
        for one in largest_first:
            say(_paragraph(*one, now_ms))
        say(counted(len(largest_first), "group"))
    if groups.ungrouped:
        complain(f"in other groups: {counted(groups.ungrouped, 'letter')}; choose some by a filter")


def _document(fingerprint: Fingerprint, group: LetterGroup) -> dict[str, Any]:
    return {
        "group": fingerprint.group,
        "count": group.count,
        **fingerprint._asdict(),
        "integration": fingerprint.integration or NO_INTEGRATION,
        "first_dead_at": iso(group.first_ms),
        "last_dead_at": iso(group.last_ms),
        "meaning": meaning_of(fingerprint.reason, fingerprint.error),
        "what_to_do": remedy_for(fingerprint.reason, fingerprint.error),
    }


def _paragraph(fingerprint: Fingerprint, group: LetterGroup, now_ms: int) -> str:
    parts = {
        "error": fingerprint.error if fingerprint.error != fingerprint.reason else None,
        "Adobe's code": fingerprint.adobe_code,
        "field": fingerprint.field,
        "HTTP": fingerprint.http_status,
        "configuration": fingerprint.config,
    }
    named = [f"{name} {in_column(str(part))}" for name, part in parts.items() if part is not None]
    head = [
        f"{fingerprint.group}  {counted(group.count, 'letter')}",
        in_column(fingerprint.reason),
        f"integration {in_column(fingerprint.integration or NO_INTEGRATION)}",
        *named,
    ]
    meaning = meaning_of(fingerprint.reason, fingerprint.error)
    remedy = remedy_for(fingerprint.reason, fingerprint.error)
    return "\n".join(
        (
            "  ".join(head),
            f"    first {told(group.first_ms, now_ms)}, last {told(group.last_ms, now_ms)}",
            f"    {meaning or 'This version does not know the reason.'}",
            f"    {remedy or 'Upgrade, and look again.'}",
        )
    )
