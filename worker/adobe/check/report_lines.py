"""What a check says: a line for each thing that was looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["ok", "wrong", "unclear"]
"""`wrong`: something must be changed. `unclear`: can't be judged, mostly for want of a right."""

CheckName = Literal[
    "token",
    "scopes",
    "sandbox",
    "flow",
    "organization",
    "inlet",
    "payload-mode",
    "authentication",
    "dataset",
    "schema",
    "dataset-profile",
    "schema-profile",
    "identity",
    "namespace",
    "mapping",
    "required",
    "identity-dataset",
    "look-up",
    "runs",
    "test-record",
]

WORDS: Final[dict[Verdict, str]] = {"ok": "ok", "wrong": "wrong", "unclear": "can't be judged"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a check; `of` is what was looked at where there are several: a mapping's id, an
    identifier.
    """

    check: CheckName
    verdict: Verdict
    text: str
    of: str = ""

    @property
    def subject(self) -> str:
        return f"{self.check} {self.of}".rstrip()


def ok(check: CheckName, text: str, of: str = "") -> Line:
    return Line(check, "ok", text, of)


def wrong(check: CheckName, text: str, of: str = "") -> Line:
    """A line of a check whose `text` says what to change, and where."""
    return Line(check, "wrong", text, of)


def unclear(check: CheckName, text: str, of: str = "") -> Line:
    """A line of a check whose `text` says which right to grant, or what else keeps it from being
    judged.
    """
    return Line(check, "unclear", text, of)


def worst(lines: Iterable[Line]) -> Verdict:
    """The verdict on all lines of a check: one wrong line outweighs all others."""
    verdicts = {one.verdict for one in lines}
    return "wrong" if "wrong" in verdicts else "unclear" if "unclear" in verdicts else "ok"
