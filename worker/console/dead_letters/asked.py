"""Which dead letters an operator means, and what is to be done with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode

from worker.broker.letter_filter import Filter
from worker.evidence.letter_cause import GROUP_ID
from worker.evidence.receipt import ChoiceKind
from worker.letters.letter_act_request import ALL, Handling, Verb, words_of
from worker.letters.letter_events import REASONS
from worker.moments import moment_ms

MOST_IDS: Final = 1_000
MOST_CANARIES: Final = 1_000
_MOST_TEXT: Final = 200
Kind = ChoiceKind | Literal["unknown"]
_KINDS: Final[Mapping[str, Kind]] = {
    "withdrawn": "withdrawn",
    "given": "given",
    "other": "other",
    "unknown": "unknown",
}
_SPAN: Final = re.compile(r"[0-9]{1,9}[smhd]")


class Unclear(ValueError):
    """What somebody has asked about dead letters can't be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Meant:
    """Which dead letters are meant: `since` is how long ago a letter has died at most, such as
    `1h`. `kind` is that of a choice, `unknown` where receipts do not tell it. `ids` are those of
    letters, and none means that no letter is named.
    """

    integration: str = ""
    reason: str = ""
    group: str = ""
    since: str = ""
    kind: Kind | None = None
    ids: frozenset[str] = frozenset()

    def filter(self, now_ms: int) -> Filter:
        """The filter by which the dead-letter queue is asked; `kind` is known by receipts alone."""
        return Filter(
            integration=self.integration or None,
            reason=self.reason or None,
            since_ms=moment_ms(self.since, now_ms) if self.since else None,
            group=self.group or None,
            ids=self.ids or None,
        )

    def link(self, path: str, **changes: str) -> str:
        """The page at `path` with this filter of dead letters and `changes`, as a link to share."""
        said = {"integration": self.integration, "reason": self.reason, "since": self.since}
        said |= {"kind": self.kind or ""} | changes
        query = urlencode({name: value for name, value in said.items() if value})
        return f"{path}?{query}" if query else path

    def full_link(self, path: str) -> str:
        """The page at `path` with this filter of dead letters, and with group and letters."""
        pairs = [("group", self.group)] + [("id", one) for one in sorted(self.ids)]
        more = urlencode([(name, value) for name, value in pairs if value])
        link = self.link(path)
        return f"{link}{'&' if '?' in link else '?'}{more}" if more else link

    @property
    def options(self) -> str:
        """The filter of dead letters as options of the command, as far as it has them; ids are
        listed one by one.
        """
        said = {
            "integration": self.integration,
            "reason": self.reason,
            "group": self.group,
            "newer-than": self.since,
            "id": next(iter(self.ids), "") if len(self.ids) == 1 else "",
        }
        return "".join(f" --{name} {value}" for name, value in said.items() if value)

    @property
    def words(self) -> str:
        """Which dead letters are meant, for people and the trail: codes and ids alone."""
        parts = words_of(replace(self, since="").filter(0))
        if self.since:
            parts.append(f"dead for less than {self.since}")
        if self.kind is not None:
            parts.append(f"choices {self.kind}")
        return ", ".join(parts) or ALL

    @property
    def has_command(self) -> bool:
        """Whether the command can be asked for the same dead letters."""
        words = (self.integration, self.reason, *self.ids)
        is_plain = all(re.fullmatch(r"[\w.:-]*", one, re.ASCII) for one in words)
        return self.kind is None and len(self.ids) <= 1 and is_plain


@dataclass(frozen=True, slots=True)
class Asked:
    """An act on dead letters as it was confirmed: `letters` is how many the preview has shown, and
    `previewed` which ones: how many there are of each name, see `previewed_letters`.
    """

    verb: Verb
    meant: Meant
    letters: int
    withdrawals: int = 0
    canaries: int = 0
    wait_seconds: int = 0
    rate: float | None = None
    after_state_loss: bool = False
    why: str = ""
    previewed: Mapping[bytes, int] = field(default_factory=dict, repr=False)
    first_keys: frozenset[bytes] = field(default=frozenset(), repr=False)
    """The lives of those that go first: the withdrawals."""
    canary_keys: Sequence[bytes] = field(default=(), repr=False)
    """The lives of those that may be canaries, the best first: Adobe is likely to get them."""

    def handling(self) -> Handling:
        """The act as the work on the dead letters is told. Those that were previewed may have grown
        older than the filter says.
        """
        return Handling(
            self.verb,
            replace(self.meant, since="").filter(0),
            after_state_loss=self.after_state_loss,
            canaries=self.canaries,
            wait_seconds=self.wait_seconds,
            rate=self.rate,
        )

    def confirmed(self, **options: Any) -> Asked:
        """The act on dead letters with the options that were chosen for it."""
        return replace(self, **options)

    @property
    def chosen_canaries(self) -> frozenset[bytes]:
        """The lives of the dead letters that are replayed before all others."""
        return frozenset(self.canary_keys[: self.canaries])

    def without_canaries(self) -> Asked:
        """The same act for the dead letters that follow the canaries."""
        return replace(self, canaries=0)


def read_meant(said: Mapping[str, str], ids: Sequence[str] = ()) -> Meant:
    """The filter of dead letters in a link or a form. Raises `Unclear`."""
    texts = {name: said.get(name, "") for name in ("integration", "reason", "group", "since")}
    if any(len(one) > _MOST_TEXT for one in (*texts.values(), *ids)) or len(ids) > MOST_IDS:
        raise Unclear(f"a filter has texts of {_MOST_TEXT} characters at most")
    if texts["reason"] and texts["reason"] not in REASONS:
        raise Unclear("no reason of a dead letter is called so")
    if texts["group"] and not GROUP_ID.fullmatch(texts["group"]):
        raise Unclear("a group is called by 8 hexadecimal digits")
    if texts["since"] and not _SPAN.fullmatch(texts["since"]):
        raise Unclear("since is an age, such as 90s, 2h or 7d")
    kind = said.get("kind", "")
    if kind and kind not in _KINDS:
        raise Unclear("kind is withdrawn, given, other or unknown")
    return Meant(**texts, kind=_KINDS.get(kind), ids=frozenset(ids))


def number_in(
    said: Mapping[str, str], name: str, least: float, most: float, *, is_whole: bool = False
) -> float | None:
    """A number in the form of an act; None where the field is empty. Raises `Unclear`, also for a
    fraction where the number `is_whole`.
    """
    text = said.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most or (is_whole and not value.is_integer()):
        raise Unclear(f"{name} is a {'whole ' * is_whole}number from {least:g} to {most:g}")
    return value
