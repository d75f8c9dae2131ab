"""The one sentence that says how the fleet does. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from worker.console.fleet_troubles import Trouble, in_need
from worker.console.formats import number
from worker.ledger.overview import Overview


class Verdict(NamedTuple):
    """The verdict on the fleet: `state` is a status word, `sentence` and `because` stand on top of
    the page.
    """

    state: str
    sentence: str
    because: str
    link: str = ""
    link_text: str = ""


_GOES_WELL: Final = "All else goes well now; look why they failed before."
_NOT_ALL: Final = "The choice of some is not known, so withdrawals may be among them."
_HEADLINES: Final[Mapping[str, str]] = {
    "failing": "{who} is failing",
    "blocked": "{who} is blocked",
    "invalid": "The file of {who} is not valid",
    "gone": "{who} is gone",
    "slowed": "{who} is slowed",
    "paused": "{who} is paused",
}


def given_up_sentence(withdrawals: int, *, is_least: bool = False) -> str:
    """What is said of withdrawals that were given up, and are dead letters still; `is_least`: not
    of all dead letters the choice is known.
    """
    if withdrawals == 1 and not is_least:
        return "1 withdrawal was given up: see whether it is still needed."
    were = "withdrawal was" if withdrawals == 1 else "withdrawals were"
    least = "At least " * is_least
    return f"{least}{number(withdrawals)} {were} given up: see which are still needed."


def verdict_of(
    told: Overview, troubles: Sequence[Trouble], given_up: int = 0, *, is_least: bool = False
) -> Verdict:
    """The verdict on the fleet, in one sentence; `given_up` withdrawals are dead letters still, or
    more than these where `is_least`.
    """
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
            worst.state, _headline(worst), _beside(worst, urgent), worst.link, _open_text(worst)
        )
    milder = [one for one in troubles if one.state != "dead"]
    mild = milder[0] if milder else None
    because = f"{_headline(mild)} {_beside_mild(len(milder) - 1)}".strip() if mild else ""
    if given_up:
        sentence = given_up_sentence(given_up, is_least=is_least)
        link = "/dead-letters?kind=withdrawn"
        return Verdict("dead", sentence, because or _GOES_WELL, link, "Open the dead letters")
    if mild and not is_least:
        return Verdict(mild.state, "Nothing needs you.", because, mild.link, _open_text(mild))
    if troubles:
        sentence = f"Nothing is urgent; {_lie_dead(told)}."
        because = f"{_NOT_ALL * is_least} {because or _GOES_WELL}".strip()
        return Verdict("warning", sentence, because, "/dead-letters", "Open the dead letters")
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


def _beside(worst: Trouble, urgent: Sequence[Trouble]) -> str:
    """What else is urgent: the integrations that the navigation counts, and what is of none."""
    integrations = len(in_need(urgent) - {worst.who})
    more = "more " * bool(worst.link)
    others = sum(not one.link for one in urgent if one is not worst)
    said = []
    if integrations:
        need = "needs" if integrations == 1 else "need"
        said.append(f"{number(integrations)} {more}{_integrations(integrations)} {need} you.")
    if others:
        said.append(f"{_things(others)} wrong, too.")
    return " ".join(said)


def _integrations(count: int) -> str:
    return "integration" if count == 1 else "integrations"


def _things(count: int) -> str:
    return "One other thing is" if count == 1 else f"{number(count)} other things are"


def _beside_mild(others: int) -> str:
    if not others:
        return ""
    if others == 1:
        return "One more is slowed or paused."
    return f"{number(others)} more are slowed or paused."
