"""Every stable code, once, with its kind and a sentence for operators.

A code stands in headers, metrics, the log and the answers of commands, so it never changes its
meaning. `docs/dead-letters.md` says of each what to do; a test holds the two against each other.

 ├─ SkipReason   nothing is to be done for the event: acknowledged and counted
 ├─ ParkReason   the event waits in the delay, and that is no attempt
 ├─ ErrorCode    an attempt went wrong
 └─ DeadReason   the event was given up; a person must look
"""

from __future__ import annotations

from typing import Final

from worker.code_kinds import Code, Kind


class SkipReason(Code):
    """Why nothing is to be done for an event."""

    CONSENT_EVENT = (
        "consent-event",
        Kind.NORMAL,
        "The integration is fed by the other kind of events.",
    )
    DISABLED = "disabled", Kind.OPERATOR, 'Its integration has "enabled": false.'
    DUPLICATE = "duplicate", Kind.NORMAL, "Adobe has accepted this very event."
    EMPTIED = (
        "emptied",
        Kind.NORMAL,
        "Nothing is selected any more of its preferences, which is remembered, and no mapping "
        "says what to send then.",
    )
    ERASED = "erased", Kind.OPERATOR, "The person was erased after the choice was made."
    EVENT_DELETED = (
        "event-deleted",
        Kind.NORMAL,
        "A deletion says no new choice, and need not tell its organization.",
    )
    GUEST = "guest", Kind.NORMAL, "The user has no organization_user_id."
    NO_CHOICES = (
        "no-choices",
        Kind.NORMAL,
        "A snapshot without any choice, of a new Didomi user or of one of whom nothing was sent.",
    )
    NO_INTEGRATION = (
        "no-integration",
        Kind.NORMAL,
        "No integration belongs to the event's organization, and there is no doubt about it.",
    )
    NO_PROFILE = "no-profile", Kind.NORMAL, "upsert_mode is false, and Adobe knows no such contact."
    NOTHING_MAPPED = (
        "nothing-mapped",
        Kind.NORMAL,
        "None of the choices is mapped, or all of them are undecided.",
    )
    PENDING_APPROVAL = (
        "pending-approval",
        Kind.NORMAL,
        "The choice is not confirmed yet, and no mapping says what to send meanwhile.",
    )
    REGULATION = "regulation", Kind.NORMAL, "The integration does not ask for this regulation."
    SERVED = "served", Kind.NORMAL, "A copy that no integration needs: each has one of its own."
    SUPERSEDED = (
        "superseded",
        Kind.NORMAL,
        "Adobe has accepted something newer for each of its attributes.",
    )
    USER_DELETED = (
        "user-deleted",
        Kind.NORMAL,
        "A deletion says no new choice, and need not tell its organization.",
    )
    USER_EVENT = "user-event", Kind.NORMAL, "The integration is fed by the other kind of events."


class ParkReason(Code):
    """Why an event waits in the delay, which is no attempt."""

    BLOCKED = (
        "blocked",
        Kind.SET_UP,
        "The integration waits until somebody mends its credentials, rights or set-up.",
    )
    BUSY = "busy", Kind.TRANSIENT, "Another worker is sending for this user."
    CHANGED = "changed", Kind.OPERATOR, "The integration has changed: it is decided anew."
    IN_DOUBT = "in-doubt", Kind.SET_UP, "Nobody can say now which integration the event is for."
    LANE_FULL = "lane-full", Kind.OVERLOAD, "The integration holds all that it may."
    NEWER_CONTRACT = "newer-contract", Kind.OPERATOR, "A newer version wrote it in its own way."
    NOT_YET = "not-yet", Kind.TRANSIENT, "The event is of the future, by the worker's clock."
    PAUSED = "paused", Kind.OPERATOR, "An operator has paused the integration."
    STOPPING = "stopping", Kind.TRANSIENT, "The worker that had it stops."
    UNKNOWN_INLET = "unknown-inlet", Kind.TRANSIENT, "Adobe is asked of which kind its inlet is."


class ErrorCode(Code):
    """What went wrong with an attempt."""

    ADOBE_NOT_FOUND = (
        "adobe-not-found",
        Kind.TRANSIENT,
        "Adobe's endpoint answers 404 or another 4xx.",
    )
    ADOBE_REDIRECTED = (
        "adobe-redirected",
        Kind.TRANSIENT,
        "Adobe's endpoint answers 3xx, which is never followed.",
    )
    ADOBE_REFUSED = "adobe-refused", Kind.SET_UP, "Adobe answers 401 or 403 to a fresh token."
    ADOBE_REJECTED = (
        "adobe-rejected",
        Kind.PERMANENT,
        "Adobe answers 400, 413, 415 or 422 to the message itself.",
    )
    ADOBE_THROTTLED = "adobe-throttled", Kind.OVERLOAD, "Adobe answers 429, too many requests."
    ADOBE_UNAVAILABLE = "adobe-unavailable", Kind.OVERLOAD, "Adobe answers 5xx."
    ADOBE_UNREADABLE = (
        "adobe-unreadable",
        Kind.TRANSIENT,
        "A success whose body says nothing that can be read, a reply to a batch that lacks items, "
        "or a success other than Adobe's 200 and 207.",
    )
    CONNECTION_FAILED = (
        "connection-failed",
        Kind.OVERLOAD,
        "No connection, or it broke: the detail says whether it was refused, reset or closed, the "
        "name was not resolved, the TLS certificate was not accepted, …",
    )
    ENDPOINT_NOT_ALLOWED = (
        "endpoint-not-allowed",
        Kind.SET_UP,
        "The host is not on the allow-list, or the URL is not https.",
    )
    INLET_MISMATCH = (
        "inlet-mismatch",
        Kind.SET_UP,
        "payload_mode is auto, and the inlet that it found does not fit the rest of the "
        "integration, or Adobe tells nothing of it and refuses what is sent.",
    )
    LOOKUP_REFUSED = (
        "lookup-refused",
        Kind.SET_UP,
        "The profile look-up, which is licensed separately, answers 403.",
    )
    LOOKUP_REJECTED = (
        "lookup-rejected",
        Kind.SET_UP,
        "The look-up calls the question wrong (merge policy, namespace, sandbox).",
    )
    STATE_LOST = (
        "state-lost",
        Kind.SET_UP,
        "Single choices at an XDM-compatible inlet, of a person whom the state does not know "
        "any more, and who can't be looked up; or a snapshot there, after a loss that nobody has "
        "accepted.",
    )
    STATE_UNREADABLE = (
        "state-unreadable",
        Kind.TRANSIENT,
        "What the state has of a person can't be read, and a whole record would erase what that "
        "was.",
    )
    TIMEOUT = "timeout", Kind.OVERLOAD, "No answer within the attempt's time limit."
    TOKEN_REFUSED = "token-refused", Kind.SET_UP, "Adobe refuses the client id or its secret."
    TOKEN_UNAVAILABLE = (
        "token-unavailable",
        Kind.OVERLOAD,
        "The token endpoint is away, or a token was refused as was the one shortly before.",
    )


class DeadReason(Code):
    """Why an event was given up. No worker writes `unroutable`: it is said of a dead letter that
    came without a reason.
    """

    ADOBE_REJECTED = (
        "adobe-rejected",
        Kind.PERMANENT,
        "Adobe says that the message itself is wrong, or the message is larger than Adobe takes.",
    )
    AMBIGUOUS_MAPPING = (
        "ambiguous-mapping",
        Kind.SET_UP,
        "One event gives two values to one mapped key.",
    )
    INTEGRATION_DISABLED = (
        "integration-disabled",
        Kind.OPERATOR,
        "Its integration was disabled while it waited.",
    )
    INVALID_EVENT = "invalid-event", Kind.PERMANENT, "It is JSON, but no consent event of Didomi's."
    INVALID_HEADERS = (
        "invalid-headers",
        Kind.PERMANENT,
        "A header of the retry contract was tampered with, or a clock is wrong by an hour, or "
        "a header can't be read.",
    )
    INVALID_INTEGRATION = (
        "invalid-integration",
        Kind.SET_UP,
        "The integration's file was not valid, or a file did not tell whose it is, for as long "
        "as events wait.",
    )
    INVALID_JSON = "invalid-json", Kind.PERMANENT, "The body is no JSON, or not UTF-8."
    NO_IDENTITY = "no-identity", Kind.PERMANENT, "No configured user_identifier has a usable value."
    NO_INTEGRATION = (
        "no-integration",
        Kind.SET_UP,
        "Nobody could say whose the event is, for as long as events wait.",
    )
    POISON = "poison", Kind.INTERNAL, "It took its worker down time and again."
    RETRIES_EXHAUSTED = (
        "retries-exhausted",
        Kind.TRANSIENT,
        "Five or more retries failed; the error names the cause.",
    )
    SETUP_FAILURE = (
        "setup-failure",
        Kind.SET_UP,
        "Its integration was blocked for a fault of its set-up, and nobody mended it in time; "
        "error names the fault.",
    )
    TOO_LARGE = "too-large", Kind.PERMANENT, "The body has more bytes than the worker takes."
    UNEXPECTED_ERROR = "unexpected-error", Kind.INTERNAL, "A fault of the worker's own."
    UNKNOWN_INTEGRATION = (
        "unknown-integration",
        Kind.SET_UP,
        "The message names an integration that does not exist, is gone for a day, or belongs "
        "to another organization.",
    )
    UNKNOWN_TYPE = "unknown-type", Kind.PERMANENT, "An event type that this version does not know."
    UNROUTABLE = (
        "unroutable",
        Kind.INTERNAL,
        "It fitted no binding, or the broker put it here for a reason of its own.",
    )


NO_INTEGRATION: Final = "none"
"""What the log, the metrics and the lists call the integration of what belongs to none, or to one
that no file has."""
SETUP_ERRORS: Final = frozenset(one for one in ErrorCode if one.kind is Kind.SET_UP)
"""Errors that a person must mend, in the configuration or at Adobe."""
OVERLOAD: Final = frozenset(one for one in ErrorCode if one.kind is Kind.OVERLOAD)
"""Errors that make a lane slower."""
