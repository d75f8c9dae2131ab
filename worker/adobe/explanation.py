"""What would be sent to Adobe for an event, and why. Sends nothing. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from worker.adobe.streaming import build_request, masked_headers, shown_url
from worker.events import Envelope, UndecodableEvent, open_envelope
from worker.integrations.attribute_mapping import Mapping
from worker.integrations.model import Integration
from worker.reasons import DeadReason, ParkReason, SkipReason
from worker.transform.decide import decide, unowned_deletion
from worker.transform.decision_types import Deliver, Early, Reject, Skip
from worker.transform.format_rendering import EMPTIED, Sent, as_json
from worker.transform.tie_order import tie_break
from worker.transform.xdm_message import build_payload, build_record, encode_message
from worker.transform.xdm_times import iso_time

LOOK_UP_NOTE = (
    "upsert_mode is false: a profile look-up would decide; when Adobe knows no such contact, "
    "nothing is sent and the outcome is skipped(no-profile)"
)
SNAPSHOT_NOTE = (
    "a snapshot without a mapped choice takes back what a snapshot of the same Didomi user has "
    "said; if none has, nothing is sent"
)
UNUSABLE_NOTE = "the event holds a list, an object or a number beyond 64 bits there; see format"
PAUSED_NOTE = "the integration is paused: its events wait until that is taken back"
COMPLETION_NOTE = (
    "the message is a whole record: what the state knows of the other mapped attributes goes along"
)
AUTO_NOTE = (
    "payload_mode is auto: this is the form that a raw inlet takes; of which kind it is, Adobe is "
    "asked at the first event, and `consent-worker integrations check` tells"
)


def explain_event(body: bytes, integration: Integration, max_event_bytes: int) -> dict[str, Any]:
    """The explanation of an event as one JSON object; `max_event_bytes` are the most that a body
    may have.
    """
    explanation: dict[str, Any] = {
        "outcome": "dead",
        "reason": None,
        "detail": None,
        "note": None,
        "identity": None,
        "order": None,
        "attributes": {},
        "emptied": [],
        "unmatched": [],
        "unusable": [],
        "mappings": [],
        "request": None,
    }
    if len(body) > max_event_bytes:
        detail = f"the body has more than {max_event_bytes} bytes"
        return explanation | {"reason": DeadReason.TOO_LARGE, "detail": detail}
    try:
        envelope = open_envelope(body)
    except UndecodableEvent as error:
        return explanation | {"reason": error.reason, "detail": str(error)}
    if not envelope.organization_id:
        unwanted = unowned_deletion(envelope)
        return explanation | {"outcome": "skip", "reason": unwanted.reason}
    if envelope.organization_id != integration.organization_id:
        detail = "the integration belongs to another organization than the event"
        return explanation | {
            "outcome": "skip",
            "reason": SkipReason.NO_INTEGRATION,
            "detail": detail,
        }
    if not integration.enabled:
        detail = "the integration is not enabled"
        return explanation | {"outcome": "skip", "reason": SkipReason.DISABLED, "detail": detail}
    decision = decide(integration, envelope, int(time.time() * 1000))
    if isinstance(decision, Skip):
        return explanation | {"outcome": "skip", "reason": decision.reason}
    if isinstance(decision, Early):
        detail = f"the event lies in the future; it waits for {decision.seconds:.0f} s"
        return explanation | {"outcome": "park", "reason": ParkReason.NOT_YET, "detail": detail}
    if isinstance(decision, Reject):
        return explanation | {"reason": decision.reason, "detail": decision.detail}
    return explanation | _delivery(integration, envelope, decision)


def _notes(integration: Integration, decision: Deliver) -> Iterator[str]:
    if integration.paused:
        yield PAUSED_NOTE
    if integration.payload_mode == "auto":
        yield AUTO_NOTE
    may_complete = integration.payload_mode == "auto" and integration.events == "event"
    if integration.completes or may_complete:
        others = [one.id for one in integration.mappings if one.id not in decision.attributes]
        where = "at an XDM-compatible inlet " if may_complete else ""
        yield f"{where}{COMPLETION_NOTE}: {', '.join(others) or 'none'}"
    if decision.attributes.keys() <= decision.companions:
        yield SNAPSHOT_NOTE
    if integration.needs_lookup:
        yield LOOK_UP_NOTE


def _delivery(integration: Integration, envelope: Envelope, decision: Deliver) -> dict[str, Any]:
    emptied = [path for path, value in decision.attributes.items() if value is EMPTIED]
    said = {path: value for path, value in decision.attributes.items() if value is not EMPTIED}
    is_silent = bool(emptied) and said.keys() <= decision.companions
    skips = is_silent and not integration.replaces_record
    return {
        "outcome": "skip" if skips else "deliver",
        "reason": SkipReason.EMPTIED if skips else None,
        "note": "; ".join(_notes(integration, decision)) or None,
        "identity": {decision.identity.identifier: decision.identity.value},
        "order": {
            "event_time": iso_time(decision.event_time_ms),
            "tie_break": tie_break(envelope, decision),
        },
        "attributes": {path: as_json(value) for path, value in said.items()},
        "emptied": emptied,
        "unmatched": list(decision.unmatched),
        "unusable": list(decision.unusable),
        "mappings": [_mapping(integration, one, decision) for one in integration.mappings],
        "request": None if skips else _request(integration, decision),
    }


def _request(integration: Integration, decision: Deliver) -> dict[str, Any]:
    record = build_record(
        integration, decision.attributes, decision.identity, decision.event_time_ms
    )
    request = build_request(integration, [encode_message(integration, record)])
    return {
        "method": request.method,
        "url": shown_url(request.url),
        "headers": masked_headers(integration, request),
        "body": build_payload(integration, record),
    }


def _mapping(integration: Integration, mapping: Mapping, decision: Deliver) -> dict[str, Any]:
    """The options of a mapping that are given, and what they make of this event."""
    shown = mapping.model_dump(exclude_unset=True)
    if mapping.id not in decision.attributes:
        if mapping.id in decision.unusable:
            return shown | {"not_sent": UNUSABLE_NOTE}
        return shown | {"not_sent": "says nothing"} | _taken_back(integration, mapping, decision)
    sent = decision.attributes[mapping.id]
    if sent is EMPTIED:
        return shown | {"not_sent": "nothing is selected any more, which is remembered; see empty"}
    shown["sent"] = as_json(sent)
    if isinstance(sent, Sent):
        if sent.time_path is not None:
            shown["time_sent"] = iso_time(sent.time_ms)
        shown["is_refusal"] = sent.is_refusal
    return shown


def _taken_back(integration: Integration, mapping: Mapping, decision: Deliver) -> dict[str, Any]:
    """What becomes of what a snapshot of the same Didomi user has said there."""
    if mapping.id not in decision.absent or mapping.id in decision.companions:
        return {}
    becomes = decision.absent[mapping.id]
    if becomes is not EMPTIED:
        return {"if_named_before": as_json(becomes)}
    return {"if_named_before": "erased" if integration.replaces_record else "not sent"}
