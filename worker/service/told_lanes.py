"""How the lanes of a worker do, and since when, as they are told among the receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from worker.adobe.replies import Retryable
from worker.delivery.lanes.lane import Lane
from worker.delivery.outcome import Failure
from worker.integrations.model import Integration
from worker.redaction import redact

_WORDS_CHARACTERS: Final = 200


class LaneStates:
    """Remembers the state that each lane was in when it was told last, and since when it was."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, int]] = {}

    def told(
        self,
        lanes: Iterable[Lane],
        now_ms: int,
        most_bytes: int,
        token_seconds: Callable[[Integration], float | None] = lambda _: None,
    ) -> list[dict[str, Any]]:
        """As many lanes as go into so many bytes of JSON; those that do well come last. `since` is
        when a state was told first, in ms since 1970: later than it began by one telling at most.
        `token_seconds` says for how long the token of an integration lives.
        """
        before, self._since = self._since, {}
        said = []
        for lane in lanes:
            state, since = before.get(lane.integration.id, ("", now_ms))
            now = _state_of(lane)
            if now != state:
                state, since = now, now_ms
            self._since[lane.integration.id] = (state, since)
            said.append(_told(lane, state, since, token_seconds(lane.integration)))
        said.sort(key=lambda one: one["state"] == "well")
        kept, size = [], 0
        for one in said:
            size += len(orjson.dumps(one)) + 1
            if size > most_bytes:
                break
            kept.append(one)
        return kept


def _told(lane: Lane, state: str, since_ms: int, token_seconds: float | None) -> dict[str, Any]:
    failure = lane.block.failure or (lane.health.trouble if state == "failing" else None)
    return {
        "integration": lane.integration.id,
        "state": state,
        "held": lane.held,
        "error": failure.error if failure is not None else "",
        "words": "" if failure is None else redact(_words_of(failure))[:_WORDS_CHARACTERS],
        "since": since_ms,
        "allowed": lane.window.size,
        "token_seconds": None if token_seconds is None else max(0, int(token_seconds)),
    }


def _words_of(failure: Failure | Retryable) -> str:
    """Adobe's, of an answer; where it has none, its status."""
    if isinstance(failure, Retryable) and failure.http_status is None:
        return ""  # there was no answer, and the words are ours
    return failure.detail or f"HTTP {failure.http_status}"


def _state_of(lane: Lane) -> str:
    if lane.integration.paused:
        return "paused"
    if lane.block.is_on:
        return "blocked"
    if lane.health.is_failing:
        return "failing"
    return "well" if lane.keeps_up() else "slowed"
