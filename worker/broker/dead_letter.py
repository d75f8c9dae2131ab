"""What one dead letter is, as an operator sees it, by the headers of its message."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from worker.broker import headers as names
from worker.broker.republished import is_own_message_id
from worker.counting import counted, verb
from worker.events import UndecodableEvent, is_called_as_person, open_envelope
from worker.evidence.letter_cause import NOBODY_KNOWS_IT, Fingerprint, adobe_code_in, field_in
from worker.reasons import DeadReason
from worker.redaction import redact, shown_id

_UNKNOWN: Final = DeadReason.UNKNOWN_INTEGRATION
_LONGEST_CODE: Final = 64
_NAMELESS: Final = re.compile(r"nameless-[0-9a-f]{16}", re.ASCII)
_LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter, as an operator sees it; times in ms since 1970, None when unknown. `epoch`
    is that of the state of newest-wins when a worker met the event first, `config` the version of
    the integration's configuration under which it was given up. `repeat`: whether it sends anew
    what Adobe has accepted.
    """

    id: str
    reason: str
    integration: str | None
    error: str | None
    detail: str | None
    http_status: int | None
    attempts: int
    first_attempt_at_ms: int | None
    dead_at_ms: int | None
    replays: int
    epoch: str | None
    config: str | None
    body_bytes: int
    repeat: bool | None = None


class LetterMessage(Protocol):
    """What of a message tells which dead letter it is."""

    @property
    def headers(self) -> Mapping[str, Any]: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def body(self) -> bytes: ...


def describe(message: LetterMessage) -> DeadLetter:
    """What the headers of a dead letter say. Each may be forged, so texts and numbers are bounded,
    and what is none of ours counts as not there. Ids are shown where they tell of nobody.
    """
    headers = message.headers
    return DeadLetter(
        id=id_of(message.message_id, message.body),
        reason=_reason(headers, len(message.body)),
        integration=names.integration_id_in(headers),
        error=_text(headers.get(names.ERROR), _LONGEST_CODE),
        detail=_detail(message) or _detail_of_bundle(headers),
        http_status=whole_number(headers.get(names.HTTP_STATUS), 999),
        attempts=whole_number(headers.get(names.ATTEMPTS), names.MAX_ATTEMPTS) or 0,
        first_attempt_at_ms=whole_number(headers.get(names.FIRST_ATTEMPT_AT), _LATEST_MS),
        dead_at_ms=_dead_at_ms(headers),
        replays=whole_number(headers.get(names.REPLAYS), names.MAX_ATTEMPTS) or 0,
        epoch=names.epoch_in(headers),
        config=names.config_in(headers),
        body_bytes=len(message.body),
        repeat=names.is_repeat(headers),
    )


def id_of(message_id: str | None, body: bytes) -> str:
    """What a dead letter is called. One without an id, or with one that is not UTF-8 or may tell of
    a person, is called by a digest of its body; so is one with the id of its person.
    """
    shown = shown_id(message_id or "")
    if shown is not None and (is_own_message_id(shown) or not _is_persons(shown, body)):
        return shown
    return f"nameless-{hashlib.sha256(body).hexdigest()[:16]}"


def _is_persons(message_id: str, body: bytes) -> bool:
    try:
        return is_called_as_person(message_id, open_envelope(body).entity)
    except UndecodableEvent:
        return False


def shown_letter_id(text: str) -> str | None:
    """The id of a dead letter that somebody has typed, if one may be called so; else None."""
    return shown_id(text) or (text if _NAMELESS.fullmatch(text) is not None else None)


def _detail(message: LetterMessage) -> str | None:
    """What went wrong, if a worker wrote it: the message has an id of a worker's making then. Such
    an id can be forged, so what looks private is masked all the same.
    """
    if not is_own_message_id(message.message_id):
        return None
    said = _text(message.headers.get(names.ERROR_DETAIL), names.LONGEST_TEXT_CHARACTERS)
    return None if said is None else redact(said)


def _detail_of_bundle(headers: Any) -> str | None:
    count = whole_number(headers.get(names.BUNDLE), names.MAX_ATTEMPTS)
    if not count:
        return None
    return f"{counted(count, 'event')} that {verb(count, 'was', 'were')} parked together"


def _reason(headers: Any, body_bytes: int) -> str:
    """Why a letter is here. What the broker did last goes before what a producer may have forged:
    what the worker publishes has no such history.
    """
    match _last_death(headers).get("reason"):
        case "delivery_limit":
            return DeadReason.POISON
        case "rejected":
            # By the worker: unread for its size, or since not even a dead letter could be made.
            is_large = body_bytes > names.LARGEST_BUNDLE_BYTES
            return DeadReason.TOO_LARGE if is_large else DeadReason.UNEXPECTED_ERROR
        case _:
            return _text(headers.get(names.DEAD_REASON), _LONGEST_CODE) or DeadReason.UNROUTABLE


def _dead_at_ms(headers: Any) -> int | None:
    """When it became a dead letter; of one that the broker made by the broker's clock, to the
    second. Of one that an alternate exchange caught nobody says that: then it is when the delay on
    which it was sent would have been over, minutes later at the most.
    """
    at = _last_death(headers).get("time")
    if isinstance(at, datetime):
        return whole_number(int(at.timestamp() * 1000), _LATEST_MS)
    said = headers.get(names.DEAD_AT, headers.get(names.DUE_AT))
    return whole_number(said, _LATEST_MS)


def _last_death(headers: Any) -> Mapping[str, Any]:
    """What the broker tells of the last time that it dead-lettered it; empty if it never did."""
    deaths = headers.get("x-death")
    # The most recent one comes first (RabbitMQ documentation, "Dead Letter Exchanges").
    latest = deaths[0] if isinstance(deaths, list) and deaths else None
    return latest if isinstance(latest, dict) else {}


def _text(value: object, most: int) -> str | None:
    return value if isinstance(value, str) and len(value) <= most else None


def whole_number(value: object, most: int) -> int | None:
    """The value of a header, where it is a number of ours: from 0, and at most `most`."""
    return value if type(value) is int and 0 <= value <= most else None


def receipted_integration(letter: DeadLetter) -> str | None:
    """The integration by which a receipt tells of a dead letter, None where it names none: no
    worker knew the one that the letter is for.
    """
    is_nobodys = letter.detail == NOBODY_KNOWS_IT
    return None if is_nobodys and letter.reason == _UNKNOWN else letter.integration


def fingerprint_of(letter: DeadLetter) -> Fingerprint:
    """The fingerprint of a dead letter, whose codes are judged already; the one of its receipt."""
    detail = letter.detail or ""
    return Fingerprint(
        letter.reason,
        letter.error,
        adobe_code_in(detail),
        field_in(letter.reason, detail),
        letter.http_status,
        receipted_integration(letter),
        letter.config,
    )
