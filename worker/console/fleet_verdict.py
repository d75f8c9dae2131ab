"""What is wrong with the fleet, the worst first, and the one sentence that says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

from worker.console.bad_files import BadFile
from worker.console.fleet_lanes import LaneAtAll, lanes_of
from worker.console.formats import integration_page, number
from worker.ledger.conservation import Shares
from worker.ledger.overview import Overview
from worker.reasons import ErrorCode

_RANKS: Final[Mapping[str, int]] = {
    one: rank
    for rank, one in enumerate(
        ("missing", "away", "failing", "blocked", "invalid", "slowed", "paused", "dead")
    )
}
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


class Verdict(NamedTuple):
    """The verdict on the fleet: `state` is a status word, `sentence` and `because` stand on top of
    the page.
    """

    state: str
    sentence: str
    because: str
    link: str = ""
    link_text: str = ""


def sentence_of(error: str) -> str:
    """Our sentence for the code of an error; "" for one that this version does not know."""
    return _SENTENCES.get(error, "")


def troubles_of(told: Overview, invalid: Mapping[str, BadFile]) -> list[Trouble]:
    """All that is wrong with the fleet, the worst first; `invalid` are files that are not valid."""
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
    for lane in lanes.values():
        if lane.state != "well":
            found.append(_of_lane(lane, told))
    found += [
        Trouble("invalid", one, bad.why, link=integration_page(one), link_text="see why")
        for one, bad in sorted(invalid.items())
        if not (bad.lacks_secrets and one in lanes)  # a worker has them
    ]
    named = {one.who for one in found}
    found += [
        _of_letters(one, count)
        for one, count in told.dead_letters.items()
        if count and one and one not in named
    ]
    return sorted(found, key=lambda one: (one.rank, one.since or 0, one.who))


def _last_word(told: Overview) -> int | None:
    return max((one.last_at for one in told.workers), default=None)


def _of_lane(lane: LaneAtAll, told: Overview) -> Trouble:
    shares = told.conservation.shares.get(lane.integration, Shares())
    letters = told.dead_letters.get(lane.integration, 0)
    counts = {"in hand": lane.held, "waiting": shares.waiting, "dead": letters}
    effect = ", ".join(f"{number(count)} {what}" for what, count in counts.items() if count)
    return Trouble(
        lane.state,
        lane.integration,
        why_of(lane),
        lane.words,
        lane.since,
        effect or "none so far",
        integration_page(lane.integration),
        "open",
    )


def _of_letters(integration: str, letters: int) -> Trouble:
    """An integration that does well now, or silently, and has dead letters."""
    why = "It does well now; some of its events were given up before."
    link = f"/dead-letters?integration={quote(integration, safe='')}"
    return Trouble(
        "dead", integration, why, effect=f"{number(letters)} dead", link=link, link_text="letters"
    )


def why_of(lane: LaneAtAll) -> str:
    """Our sentence for the state of an integration, "" where it does well."""
    return sentence_of(lane.error) or _WHY.get(lane.state, "")


_WHY: Final[Mapping[str, str]] = {
    "failing": "Its endpoint gave no good answer lately; one event at a time tries it.",
    "blocked": "Its set-up is at fault; its events are parked, and one at a time tries again.",
    "slowed": "Its endpoint is slower than events come; what finds no room is parked.",
    "paused": "Its file says that it is paused; its events are parked until that is taken back.",
}
_GOES_WELL: Final = "All else goes well now; look why they failed before."
_HEADLINES: Final[Mapping[str, str]] = {
    "failing": "{who} is failing",
    "blocked": "{who} is blocked",
    "invalid": "The file of {who} is not valid",
    "slowed": "{who} is slowed",
    "paused": "{who} is paused",
}


def given_up_sentence(withdrawals: int) -> str:
    """What is said of withdrawals that were given up, and are dead letters still."""
    if withdrawals == 1:
        return "1 withdrawal was given up: replay it."
    return f"{number(withdrawals)} withdrawals were given up: replay them."


def verdict_of(told: Overview, troubles: Sequence[Trouble], given_up: int = 0) -> Verdict:
    """The verdict on the fleet, in one sentence; `given_up` withdrawals are dead letters still."""
    if told.progress is None or not told.progress.written_at:
        return Verdict(
            "silent",
            "No receipt has been read yet.",
            "The console shows what workers write into the receipts\u2019 stream: switch it on by "
            "CONSENT_WORKER_RECEIPTS=on, as it is by default, and let some traffic come.",
        )
    if not told.runs:
        return Verdict(
            "away",
            "Nobody reads the receipts now.",
            "What stands below was so when a ledger ran last.",
        )
    urgent = [one for one in troubles if one.needs_somebody]
    if urgent:
        worst = urgent[0]
        return Verdict(
            worst.state, _headline(worst), _beside(len(urgent) - 1), worst.link, _open_text(worst)
        )
    milder = [one for one in troubles if one.state != "dead"]
    mild = milder[0] if milder else None
    because = f"{_headline(mild)} {_beside(len(milder) - 1)}".strip() if mild else ""
    if given_up:
        sentence = given_up_sentence(given_up)
        link = "/dead-letters?kind=withdrawn"
        return Verdict("dead", sentence, because or _GOES_WELL, link, "Open the dead letters")
    if mild:
        return Verdict(mild.state, "Nothing needs you.", because, mild.link, _open_text(mild))
    if troubles:
        sentence = f"Nothing is urgent; {_lie_dead(told)}."
        return Verdict("warning", sentence, _GOES_WELL, "/dead-letters", "Open the dead letters")
    return Verdict(
        "well",
        "All well.",
        "Every choice that workers took is accounted for, and each integration keeps up.",
    )


def _lie_dead(told: Overview) -> str:
    letters = sum(told.dead_letters.values())
    return "1 event lies dead" if letters == 1 else f"{number(letters)} events lie dead"


def _headline(one: Trouble) -> str:
    if one.state == "missing":
        return f"{one.effect} of {one.who} do not add up.".replace("1 events", "1 event")
    if one.state == "away":
        return "No worker is running."
    said = _HEADLINES[one.state].format(who=one.who)
    return f"{said}: {one.why}" if one.why else f"{said}."


def _open_text(one: Trouble) -> str:
    return f"Open {one.who}" if one.link else ""


def _beside(others: int) -> str:
    if not others:
        return ""
    return "One more thing is wrong." if others == 1 else f"{number(others)} more things are wrong."
