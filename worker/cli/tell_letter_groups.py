"""`dead-letters groups`: letters that are dead of one cause, counted together."""

from __future__ import annotations

import time
from typing import Any

from worker.broker.letter_filter import Filter
from worker.cli.command_support import complain, say
from worker.cli.dead_letter_pass import one_pass
from worker.cli.json_output import print_json_list
from worker.cli.mistyped_integration import check_spelling
from worker.cli.terminal import in_column
from worker.counting import counted
from worker.evidence.letter_cause import Fingerprint
from worker.letters.counted_groups import LetterGroup, LetterGroups
from worker.letters.letter_events import OpenedLetter
from worker.moments import iso, told
from worker.reasons import NO_INTEGRATION
from worker.remedies import meaning_of, remedy_for


async def tell_groups(chosen: Filter, as_json: bool) -> None:
    """Print the groups of the chosen dead letters."""
    groups = LetterGroups()

    def count(opened: OpenedLetter) -> None:
        groups.add(event.letter for event in opened.chosen)

    async with one_pass("grouped") as run:
        async for _ in run.matching(chosen, count):
            pass
    run.stop.check("the groups are not complete")
    largest_first = groups.largest_first()
    if not largest_first:
        check_spelling(chosen, run)
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
