"""What each integration would do with an event, and which lines lead to which. Pure but for the
clock, which bounds the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from worker.adobe.explanation import explain_event
from worker.console.console_database import SeenConfig
from worker.console.highlighted_lines import NO_TAGS, Tags, tags_of
from worker.console.masked_json import Line, event_lines
from worker.console.older_config import NotReadable, integration_of
from worker.console.sent_lines import SentLine, sent_lines
from worker.integrations.model import Integration
from worker.reasons import DeadReason, ParkReason, SkipReason

MOST_SHOWN: Final = 12
"""Integrations of one organization that are explained; a form names any other."""
_TYING_SECONDS: Final = 0.5
"""Of a core, for the ties between lines of all that are shown: some 5,000 decisions of a usual
event."""
_UNREADABLE: Final = (
    "That version can\u2019t be read any more: its file was of another version of this program."
)
_SENTENCES: Final[dict[str, str]] = {
    str(one): one.sentence for one in (*SkipReason, *DeadReason, *ParkReason)
}


class Asked(NamedTuple):
    """The event that is to be explained: the integration `chosen` comes first, or the version
    `older` of one (None: what is in force), and then what is in force of the same.
    """

    body: bytes
    chosen: str
    older: SeenConfig | None
    integrations: Sequence[Integration]
    most_bytes: int
    now_ms: int


class Explained(NamedTuple):
    """What one integration would do with an event. `said` is the explanation as the command prints
    it. `older` is the version that it was asked of, None for the one in force.
    """

    integration: Integration
    said: dict[str, Any]
    tags: Tags
    request: Sequence[SentLine]
    older: SeenConfig | None = None

    @property
    def version(self) -> str:
        """The version of the configuration by which the event is explained."""
        return self.integration.version if self.older is None else self.older.version

    @property
    def label(self) -> str:
        """How an integration's explanation is called beside others."""
        name = self.integration.id
        return name if self.older is None else f"{name}, version {self.version}"

    def does_as(self, other: Explained) -> bool:
        """Whether both explanations would have the same done with the event."""
        mine, theirs = self.said, other.said
        requests = [one["request"] and one["request"]["body"] for one in (mine, theirs)]
        names = ("outcome", "reason")
        return requests[0] == requests[1] and all(mine[one] == theirs[one] for one in names)

    @property
    def sends(self) -> int:
        """How many attributes of the event the integration would send."""
        return len(self.said["attributes"]) if self.said["outcome"] == "deliver" else 0

    @property
    def sentence(self) -> str:
        """Why the integration sends nothing for the event."""
        return _SENTENCES.get(str(self.said["reason"]), "")


def explained(asked: Asked) -> tuple[list[Line], list[Explained], int] | str:
    """The event's lines, what the integrations of its organization would do, and how many others
    there are; or a sentence that says what is wrong with the event.
    """
    body, integrations, most_bytes = asked.body, asked.integrations, asked.most_bytes
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return f"This is no JSON (line {error.lineno}, column {error.colno})."
    if asked.older is not None:
        try:
            old = integration_of(asked.older.text)
        except NotReadable:
            return _UNREADABLE
        now = [one for one in integrations if one.id == asked.chosen]
        told = _each(asked, document, [old, *now])
        return event_lines(document), [told[0]._replace(older=asked.older), *told[1:]], 0
    theirs = [one for one in integrations if one.organization_id == organization_in(document)]
    theirs.sort(key=lambda one: (one.id != asked.chosen, one.id))
    if not theirs and integrations:
        said = explain_event(body, integrations[0], most_bytes)
        if said["outcome"] == "dead":
            detail = f": {said['detail']}" if said["detail"] else ""
            return f"It would become a dead letter, {said['reason']}{detail}."
    shown = theirs[:MOST_SHOWN]
    told = _each(asked, document, shown)
    return event_lines(document), told, len(integrations) - len(shown)


def _each(asked: Asked, document: Any, integrations: Sequence[Integration]) -> list[Explained]:
    """What each would do. What one leaves of the time for ties, those after it have."""
    told: list[Explained] = []
    left = _TYING_SECONDS
    for integration in integrations:
        said = explain_event(asked.body, integration, asked.most_bytes)
        if said["request"] is None:
            told.append(Explained(integration, said, NO_TAGS, []))
            continue
        began = time.thread_time()
        may_go_on = _for_seconds(left / (len(integrations) - len(told)))
        tags = tags_of(document, integration, asked.now_ms, may_go_on)
        left -= time.thread_time() - began
        request = sent_lines(said["request"]["body"], integration, tags)
        told.append(Explained(integration, said, tags, request))
    return told


def _for_seconds(seconds: float) -> Callable[[], bool]:
    """Says whether this thread has worked for less since now."""
    until = time.thread_time() + seconds
    return lambda: time.thread_time() < until


def organization_in(document: Any) -> str:
    """The organization of an event, as deep as Didomi's envelope has it; "" where there is none."""
    for _ in range(3):
        if not isinstance(document, dict):
            return ""
        said = document.get("organization_id")
        if isinstance(said, str):
            return said
        document = (
            document.get("parameters") or document.get("new_entity") or document.get("entity")
        )
    return ""
