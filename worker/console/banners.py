"""The banners above a page when what it shows is old, partial or doubtful. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from worker.console.formats import moment, span
from worker.ledger.overview import Overview

_BEHIND_MS: Final = 10_000
_CLOCK_MS: Final = 5_000


class Banner(NamedTuple):
    """A banner above a page: `kind` is its weight; `fact` stands in bold before `rest`. `command`
    can be copied.
    """

    kind: Literal["warning", "fault", "info"]
    fact: str
    rest: str
    command: str = ""


def banner_of_away(why: str) -> Banner:
    """The banner that says that the ledger can't be read."""
    return Banner(
        "fault",
        "The ledger can\u2019t be read:",
        f"{why}. Delivery isn\u2019t touched by this. Dead letters can still be listed from the "
        "queue.",
        "consent-worker status",
    )


def banners_of(told: Overview) -> list[Banner]:
    """The banners of a page: what to know before anything of it is believed."""
    return [*_of_reading(told), *_of_clocks(told)]


def _of_reading(told: Overview) -> Iterator[Banner]:
    progress = told.progress
    if progress is None or not progress.written_at:
        return
    true_at = f"What you see was true at {moment(progress.written_at)}."
    if not told.runs:
        away = span(told.now - progress.alive_at)
        yield Banner(
            "warning",
            f"No ledger runs since {away}.",
            f"{true_at} Start this one, which goes on where it was:",
            "consent-worker ledger",
        )
        return
    lag = progress.read_at - progress.written_at
    if lag >= _BEHIND_MS:
        yield Banner("warning", f"The ledger is {span(lag)} behind", f"and catching up. {true_at}")


def _of_clocks(told: Overview) -> Iterator[Banner]:
    progress = told.progress
    if progress is not None and progress.alive_at - told.now > _CLOCK_MS:
        yield Banner(
            "warning",
            f"The clock of this machine is {span(progress.alive_at - told.now)} behind",
            "that of the ledger. Ages are wrong by as much; nothing else is.",
        )
        return
    for one in told.live:
        if one.last_at - told.now > _CLOCK_MS:
            yield Banner(
                "warning",
                f"The clock of worker {one.worker} is {span(one.last_at - told.now)} ahead.",
                "Times to honour are wrong by as much; nothing else is.",
            )
