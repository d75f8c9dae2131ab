"""What stands in the store beside a stamp, and the rule that it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from devtools.fuzz.target import Target
from devtools.fuzz.targets.stamps import IDS, VALUES, Event, make_stamp
from devtools.fuzz.values import below, pick, spoiled, text
from worker.ordering.sealed_values import Seals
from worker.ordering.snapshot_fold import Known, fold_known
from worker.ordering.stamp import Said, Stamp
from worker.ordering.store_protocol import UNCLEAR
from worker.ordering.verdicts import Verdict
from worker.transform.format_rendering import EMPTIED

_SEALS: Final = Seals(b"new", b"old")
_SEALED_FOR: Final = ("U" * 22, f"{'U' * 22}~{'V' * 22}")
_DEVICES: Final = ("P" * 22, "T" * 22)
_ROTATING_DEVICES: Final = (f"{'1' * 22}~{'P' * 22}", f"{'2' * 22}~{'T' * 22}")


def make_text(r: Random) -> tuple[str, str, str, str]:
    """A user, a path and its stamp, and a text beside that."""
    stamp, path = make_stamp(r), pick(r, ("_acme.news", "é", text(r, 100)))
    user = pick(r, _SEALED_FOR)
    said = Said(pick(r, ("", "D" * 22)), r.random() < 0.3, _source(r))
    own = _SEALS.texts(user, {path: stamp}, {path: said})[path]
    if r.random() < 0.5:
        own = spoiled(r, own.encode()).decode(errors="replace")
    return user, path, stamp.encode(), own if r.random() < 0.9 else text(r, 1_024)


def _source(r: Random) -> list[Any] | None:
    if r.random() < 0.3:
        return None
    return [pick(r, (None, "", "consents_tcfcs")), pick(r, VALUES), r.random() < 0.5]


def check_text(case: tuple[str, str, str, str]) -> None:
    """What can be read is written again so that it says the same."""
    user, path, encoded, beside = case
    stamps = {path: Stamp.decode(encoded)}
    said = _SEALS.said(user, stamps, {path: beside})
    again = _SEALS.said(user, stamps, _SEALS.texts(user, stamps, said))
    assert again == said, "something else once it is written"


@dataclass(frozen=True)
class _Status(Event):
    """For `fold_known`."""

    sources: Mapping[str, list[Any]] | None = None
    absent: Mapping[str, Any] = field(default_factory=lambda: dict.fromkeys("abc", False))
    is_silent_if_unknown: bool = False


StatusCase = tuple[
    list[tuple[Any, ...]], dict[str, tuple[str, str, bool]], bool, int | None, list[int]
]


def make_statuses(r: Random) -> StatusCase:
    """Snapshots and events of one person, what stands and by whom, and the kind of message."""
    users = (None, *(_DEVICES if r.random() < 0.7 else _ROTATING_DEVICES))
    events = [
        (
            pick(r, IDS),
            1 + below(r, 4),
            below(r, 3),
            {pick(r, "abc"): pick(r, (*VALUES, "")) for _ in range(below(r, 3))},
            pick(r, users),
            r.random() < 0.2,
        )
        for _ in range(1 + below(r, 5))
    ]
    names = ("a", "b", "c", ".", *(f"@{one}" for one in _DEVICES))
    known = {
        name: (
            Stamp(1 + below(r, 4), below(r, 3), r.random() < 0.5, pick(r, IDS)).encode(),
            pick(r, ("", *_DEVICES)),
            r.random() < 0.3,
        )
        for name in names
        if r.random() < 0.4
    }
    mark_ms = pick(r, (None, 1_000, -1_000, -(10**9)))
    sent_before = [place for place in range(len(events)) if r.random() < 0.2]
    return events, known, r.random() < 0.5, mark_ms, sent_before


def check_statuses(case: StatusCase) -> None:
    """Nothing older is written, and what was accepted once is news no more."""
    listed, kept, replaces, mark_ms, sent_before = case
    events = [
        _Status(
            event_id,
            time_ms,
            updated_ms,
            _emptied(attributes),
            didomi_user=didomi_user,
            is_silent_if_unknown=is_silent,
        )
        for event_id, time_ms, updated_ms, attributes, didomi_user, is_silent in listed
        if attributes or didomi_user is not None
    ]
    if not events:
        return
    stamps = {name: Stamp.decode(one[0]) for name, one in kept.items()}
    said = {name: Said(one[1], one[2]) for name, one in kept.items() if name in "abc"}
    marks = {} if mark_ms is None else {UNCLEAR: Stamp(mark_ms, 2, False, "")}
    before = Known(stamps | marks, said)
    folded = fold_known(events, before, replaces=replaces, maybe_at_adobe=sent_before)
    assert len(folded.verdicts) == len(events)
    if not sent_before:  # or what one of these had said is taken back, which is no choice
        assert folded.is_sent == (Verdict.CONTRIBUTES in folded.verdicts)
    for name, stamp in folded.written.items():
        assert name not in stamps or stamps[name] < stamp, "an older choice is written"
    if not folded.is_sent:
        assert not folded.attributes
        awaited = {one for one in folded.verdicts if one.awaits_message}
        assert awaited <= {Verdict.EMPTIES, Verdict.SAYS_NOTHING}, (
            "an event waits for a message that is none"
        )
    after = Known(stamps | dict(folded.written), said | dict(folded.said))
    again = fold_known(events, after, replaces=replaces, maybe_at_adobe=sent_before)
    # One that Adobe may have is taken back only after the newer one is known to have spoken.
    assert not again.written or not folded.is_sent or sent_before, "what was accepted is sent again"


def _emptied(attributes: dict[str, Any]) -> dict[str, Any]:
    return {path: EMPTIED if value == "" else value for path, value in attributes.items()}


TARGETS: Final = (
    Target("beside-stamps", make_text, check_text, share=20),
    Target("statuses", make_statuses, check_statuses, share=30),
)
