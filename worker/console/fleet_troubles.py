"""What is wrong with the fleet, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

from worker.console.bad_files import BadFile
from worker.console.fleet_lanes import LaneAtAll, lanes_of
from worker.console.formats import integration_page, number
from worker.ledger.conservation import Shares
from worker.ledger.overview import Overview
from worker.reasons import NO_INTEGRATION, ErrorCode

_RANKS: Final[Mapping[str, int]] = {
    one: rank
    for rank, one in enumerate(
        ("missing", "away", "failing", "blocked", "invalid", "gone", "slowed", "paused", "dead")
    )
}
HARD: Final = ("failing", "blocked")
"""States of lanes that are told whatever an integration's file says."""
GIVEN_UP_BEFORE: Final = "Nothing is wrong with it now; some of its events were given up before."
_OF_NOBODY: Final = "These events were given up, and belong to no integration that is known."
WHY_GONE: Final = "There is no file of it any more, and events wait for it."
_SENTENCES: Final[Mapping[str, str]] = {one.value: one.sentence for one in ErrorCode}


class Trouble(NamedTuple):
    """One thing that is wrong with the fleet. `who` is an integration where `link` leads to its
    page; `why` is our sentence, `words` are Adobe's. `since` is in ms since 1970.
    """

    state: str
    who: str
    why: str
    words: str = ""
    since: int | None = None
    effect: str = ""
    link: str = ""
    link_text: str = ""

    @property
    def rank(self) -> int:
        """How bad a trouble of the fleet is: 0 is the worst."""
        return _RANKS[self.state]

    @property
    def needs_somebody(self) -> bool:
        """Whether a trouble of the fleet is more than something to know."""
        return self.state not in ("slowed", "paused", "dead")


def sentence_of(error: str) -> str:
    """Our sentence for the code of an error; "" for one that this version does not know."""
    return _SENTENCES.get(error, "")


def troubles_of(
    told: Overview, invalid: Mapping[str, BadFile], files: Collection[str] | None = None
) -> list[Trouble]:
    """All that is wrong with the fleet, the worst first; `invalid` are files that are not valid.
    `files` are the integrations that have a file, None where nobody can tell.
    """
    found = [
        Trouble(
            "missing",
            one.where,
            one.why,
            since=one.since,
            effect=f"{number(one.events)} events",
        )
        for one in told.conservation.missing
    ]
    has_read = told.progress is not None and told.progress.written_at > 0
    if told.runs and has_read and not told.live:
        why = "No worker tells that it runs, so nothing is delivered; what comes waits in RabbitMQ."
        found.append(Trouble("away", "no worker", why, since=_last_word(told)))
    lanes = lanes_of(told)
    shares = told.conservation.shares
    gone = {one for one in (*lanes, *shares) if one and files is not None and one not in files}
    for lane in lanes.values():
        if lane.state in HARD or (lane.state != "well" and lane.integration not in gone):
            found.append(_of_lane(lane, told))
    failing = {one.who for one in found if one.link}
    found += [
        _of_gone(one, lanes.get(one), told)
        for one in sorted(gone - failing)
        if has_left(lanes.get(one), shares.get(one, Shares()))
    ]
    found += [
        Trouble("invalid", one, bad.why, link=integration_page(one), link_text="see why")
        for one, bad in sorted(invalid.items())
        if not (bad.lacks_secrets and one in lanes)  # a worker has them
    ]
    named = {one.who for one in found}
    found += [
        _of_letters(one, count)
        for one, count in told.dead_letters.items()
        if count and one not in named
    ]
    return sorted(found, key=lambda one: (one.rank, one.since or 0, one.who))


def has_left(lane: LaneAtAll | None, shares: Shares) -> bool:
    """Whether events of an integration wait, or are in a worker's hands."""
    return shares.waiting > 0 or (lane is not None and lane.held > 0)


def in_need(troubles: Iterable[Trouble]) -> frozenset[str]:
    """The integrations that need somebody."""
    return frozenset(one.who for one in troubles if one.needs_somebody and one.link)


def _last_word(told: Overview) -> int | None:
    return max((one.last_at for one in told.workers), default=None)


def _of_lane(lane: LaneAtAll, told: Overview) -> Trouble:
    return Trouble(
        lane.state,
        lane.integration,
        why_of(lane),
        lane.words,
        lane.since,
        _effect(lane.integration, lane, told) or "none so far",
        integration_page(lane.integration),
        "open",
    )


def _of_gone(integration: str, lane: LaneAtAll | None, told: Overview) -> Trouble:
    return Trouble(
        "gone",
        integration,
        WHY_GONE,
        effect=_effect(integration, lane, told),
        link=integration_page(integration),
        link_text="what to do",
    )


def _effect(integration: str, lane: LaneAtAll | None, told: Overview) -> str:
    counts = {
        "in hand": 0 if lane is None else lane.held,
        "waiting": told.conservation.shares.get(integration, Shares()).waiting,
        "dead": told.dead_letters.get(integration, 0),
    }
    return ", ".join(f"{number(count)} {what}" for what, count in counts.items() if count)


def _of_letters(integration: str, letters: int) -> Trouble:
    """An integration that does well now, or silently, and has dead letters; or those of none."""
    who, why = (integration, GIVEN_UP_BEFORE) if integration else ("no integration", _OF_NOBODY)
    link = f"/dead-letters?integration={quote(integration or NO_INTEGRATION, safe='')}"
    effect = f"{number(letters)} dead"
    return Trouble("dead", who, why, effect=effect, link=link, link_text="letters")


def why_of(lane: LaneAtAll) -> str:
    """Our sentence for the state of an integration, "" where it does well."""
    return sentence_of(lane.error) or _WHY.get(lane.state, "")


_WHY: Final[Mapping[str, str]] = {
    "failing": "Its endpoint gave no good answer lately; one event at a time tries it.",
    "blocked": "Its set-up is at fault; its events are parked, and one at a time tries again.",
    "slowed": "Its endpoint is slower than events come; what finds no room is parked.",
    "paused": "Its file says that it is paused; its events are parked until that is taken back.",
}
