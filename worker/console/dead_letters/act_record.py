"""A replay or a discard as the trail has it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from worker.console.dead_letters.letter_act import LetterAct
from worker.evidence.act import MOST_LIVES, Act, ActName, ActStage

_NAMES: Final[dict[str, ActName]] = {"replayed": "replayed", "discarded": "discarded"}


def told_act(act: LetterAct, stage: ActStage, now_ms: int) -> Act:
    """How it stands at `now_ms` (ms since 1970)."""
    asked = act.asked
    return Act(
        id=act.id,
        name=_NAMES[asked.verb],
        stage=stage,
        who=act.who,
        role=act.role,
        at=now_ms,
        integration=asked.meant.integration,
        about=asked.meant.words,
        why=asked.why,
        result=act.result if stage == "ended" else "",
        counts=act.counts(),
    )


def parts_of(act: LetterAct, now_ms: int) -> Iterator[Act]:
    """What is gone for good, which the ledger can't know otherwise."""
    keys = act.discarded
    for start in range(0, len(keys), MOST_LIVES):
        part = told_act(act, "part", now_ms)
        yield part._replace(counts={}, lives=keys[start : start + MOST_LIVES])
