"""A replay or a discard as the trail has it. Pure."""

from __future__ import annotations

from typing import Final

from worker.console.dead_letters.letter_act import LetterAct
from worker.evidence.act import Act, ActName, ActStage
from worker.letters.letter_act_request import OF_LOST_STATE

_NAMES: Final[dict[str, ActName]] = {"replayed": "replayed", "discarded": "discarded"}


def told_act(act: LetterAct, stage: ActStage, now_ms: int) -> Act:
    """How a replay or a discard stands at `now_ms` (ms since 1970)."""
    asked = act.asked
    beyond = f", {OF_LOST_STATE}" if act.is_replay and asked.after_state_loss else ""
    return Act(
        id=act.id,
        name=_NAMES[asked.verb],
        stage=stage,
        who=act.who,
        role=act.role,
        at=now_ms,
        integration=asked.meant.integration,
        about=f"{asked.meant.words}{beyond}",
        why=asked.why,
        result=act.result if stage == "ended" else "",
        counts=act.counts(),
    )
