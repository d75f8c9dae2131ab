"""What came of a read at Adobe, and the line for one that brought nothing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.adobe.check.report_lines import CheckName, Line, unclear


@dataclass(frozen=True, slots=True)
class Found:
    """The document that was asked for."""

    document: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """The credential lacks a right (401, 403). `detail` is ours to show, as below."""

    detail: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """Adobe itself says that there is no such thing."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer that can be used: none in time, an error of Adobe's, something unreadable."""

    detail: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class NotAsked:
    """What the question needs could not be read: `detail` names that."""

    detail: str


Answer = Found | Refused | NotFound | Unanswered | NotAsked


def not_judged(check: CheckName, answer: Answer, right: str, of: str = "") -> Line:
    """The line where `answer` brought no document; `right` is what to grant the credential."""
    match answer:
        case Refused(detail):
            text = f"grant the credential's role {right!r}, and this sandbox; {detail}"
        case Unanswered(detail, _):
            text = f"no usable answer of Adobe's, ask again; {detail}"
        case NotFound(detail):
            text = f"Adobe shows no such thing to the credential; {detail}"
        case NotAsked(detail):
            text = f"needs {detail}, which could not be read"
        case _:
            text = "the answer lacks what is needed"
    return unclear(check, text, of)
