"""What an operator is to do about a code. `docs/dead-letters.md` has the same words, with links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from worker.reasons import DeadReason, ErrorCode

_ASK_THE_ADMIN: Final = (
    "Ask the customer's Adobe admin for a new client secret from Adobe's Developer Console, and "
    "put it into `authentication.client_secret` of {file}, or where that points to. What waits "
    "goes by itself then. See by `consent-worker integrations check{integration}`."
)
_MEND_AND_REPLAY: Final = "Mend schema, dataflow or mapping; replay."

OF_REASONS: Final[Mapping[str, str]] = {
    DeadReason.INVALID_JSON: "Ask the producer. Discard it when the event has been sent again.",
    DeadReason.INVALID_EVENT: (
        "Ask the producer. Discard it when the event has been sent again. When the worker is what "
        "has to change: upgrade, then replay."
    ),
    DeadReason.UNKNOWN_TYPE: "Upgrade and replay, or discard.",
    DeadReason.TOO_LARGE: (
        "Discard; or raise the limit for workers and command, and replay: replay keeps what is "
        "still above it."
    ),
    DeadReason.INVALID_HEADERS: (
        "Find who publishes such headers. A replay starts with fresh ones."
    ),
    DeadReason.AMBIGUOUS_MAPPING: "Mend the mapping, or the purposes in Didomi; replay.",
    DeadReason.NO_IDENTITY: "Configure another identifier and replay, or discard.",
    DeadReason.INVALID_INTEGRATION: "integrations validate, mend the file, replay.",
    DeadReason.NO_INTEGRATION: "integrations validate, mend the files, replay.",
    DeadReason.UNKNOWN_INTEGRATION: "Put the file back and replay, or discard.",
    DeadReason.INTEGRATION_DISABLED: "Enable it and replay, or discard.",
    DeadReason.ADOBE_REJECTED: _MEND_AND_REPLAY,
    DeadReason.RETRIES_EXHAUSTED: "Mend the cause; replay.",
    DeadReason.SETUP_FAILURE: "Mend it; replay.",
    DeadReason.POISON: "Report it with its body. Don't replay before an upgrade.",
    DeadReason.UNROUTABLE: "Compare topology show with the broker; replay.",
    DeadReason.UNEXPECTED_ERROR: "Report it; replay after the upgrade.",
}

Advised = Literal["replay", "discard", ""]
_DISCARDED: Final = frozenset(
    {DeadReason.INVALID_JSON, DeadReason.INVALID_EVENT, DeadReason.TOO_LARGE}
)
"""What `OF_REASONS` advises to discard: a replay of such a letter ends as it did before."""
_NEITHER: Final = frozenset({DeadReason.POISON})

OF_ERRORS: Final[Mapping[str, str]] = {
    ErrorCode.ADOBE_UNAVAILABLE: "Look at Adobe's status page.",
    ErrorCode.ADOBE_THROTTLED: (
        "Lower limits.requests_in_flight or set limits.requests_per_second; ask Adobe for a higher "
        "limit."
    ),
    ErrorCode.ADOBE_NOT_FOUND: "Check dataflow_endpoint.",
    ErrorCode.ADOBE_REDIRECTED: "Check dataflow_endpoint and CONSENT_WORKER_IMS_URL.",
    ErrorCode.ADOBE_UNREADABLE: "Look for a proxy in between.",
    ErrorCode.ADOBE_REFUSED: (
        "Check the credential's product profile and role: integrations check."
    ),
    ErrorCode.ADOBE_REJECTED: _MEND_AND_REPLAY,
    ErrorCode.CONNECTION_FAILED: "Check DNS, firewall, TLS.",
    ErrorCode.STATE_UNREADABLE: (
        "The log has the digest, ordering.unreadable_value: find out who wrote there. Delete that "
        "user's hash or row, which accepts it, and replay."
    ),
    ErrorCode.TIMEOUT: "Check the endpoint; see CONSENT_WORKER_ATTEMPT_TIMEOUT_SECONDS.",
    ErrorCode.TOKEN_UNAVAILABLE: "Check CONSENT_WORKER_IMS_URL and the network.",
    ErrorCode.TOKEN_REFUSED: _ASK_THE_ADMIN.format(file="the integration's file", integration=""),
    ErrorCode.LOOKUP_REFUSED: "Grant it, or set upsert_mode to true.",
    ErrorCode.LOOKUP_REJECTED: "Check merge_policy_id, namespace and sandbox_name.",
    ErrorCode.INLET_MISMATCH: "The detail says what to set; integrations check.",
    ErrorCode.STATE_LOST: (
        "Give the identity a namespace, or go through the runbook: state accept --may-erase."
    ),
    ErrorCode.ENDPOINT_NOT_ALLOWED: ("Set CONSENT_WORKER_ALLOWED_HOSTS, or mend the integration."),
}

_THEN: Final[Mapping[str, str]] = {
    ErrorCode.ADOBE_UNAVAILABLE: "Replay when Adobe is back.",
    ErrorCode.TOKEN_REFUSED: "Then replay the dead letters.",
}

_SENTENCES: Final[Mapping[str, str]] = {one: one.sentence for one in (*ErrorCode, *DeadReason)}


def remedy_for_secret(file: str, integration: str) -> str:
    """What to do about `integration`, whose secret in `file` Adobe refuses."""
    return _ASK_THE_ADMIN.format(file=file, integration=f" {integration}")


def meaning_of(reason: str, error: str | None) -> str | None:
    """The sentence of a dead letter's reason, and that of its error where it says more; None where
    neither is known.
    """
    said = {one: None for one in (_SENTENCES.get(reason), _SENTENCES.get(error or "")) if one}
    return " ".join(said) or None


def mend_for(reason: str, error: str | None) -> str | None:
    """What mends the cause of a dead letter: its error knows better than its reason, if it has
    one.
    """
    return OF_ERRORS.get(error or "") or OF_REASONS.get(reason)


def remedy_for(reason: str, error: str | None) -> str | None:
    """What to do about a dead letter. What mends its error leaves the letter where it is, so a
    replay follows.
    """
    mend = mend_for(reason, error)
    if mend is None or error is None or error not in OF_ERRORS or "replay" in mend:
        return mend
    return f"{mend} {_THEN.get(error, 'Then replay.')}"


def advised_act(reason: str, error: str | None) -> Advised:
    """The act on a dead letter that `remedy_for` comes to, "" where it advises neither."""
    if error not in OF_ERRORS:
        if reason in _DISCARDED:
            return "discard"
        if reason in _NEITHER:
            return ""
    return "replay"
