"""A receipt: what became of one event for one integration, without anything personal. Pure.

It is one row of a message of the stream, a JSON object with the keys in the order of the fields
here; `error`, `code` and `field` are left out where they are None. Reading is for rows that anybody
may have written: what is unknown is passed over, what is missing but may be null counts as null,
and everything has a bound.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal, NamedTuple, NotRequired, TypedDict, cast, get_args

import orjson

from worker.evidence.bounded_json import (
    Unreadable,
    number_in,
    object_of,
    optional_number_in,
    optional_text_in,
    optional_time_in,
    text_in,
)

MOST_ROW_BYTES: Final = 16 * 1024
"""Of any row, and insisted on by readers."""
MOST_ATTRIBUTES: Final = 1000
_MOST_PATH_CHARACTERS: Final = 1024
_CUT: Final = "…"
"""A key of `attributes` that says: there are more than fit in a row."""

OutcomeName = Literal["delivered", "skipped", "retried", "parked", "dead", "received", "erased"]
ChoiceKind = Literal["given", "withdrawn", "other"]
"""By the booleans that an integration maps: `withdrawn` when any of them is false, `given` when all
are true, `other` when there is none (a text, a list), or while the choice is not confirmed."""
Attributes = dict[str, bool | None]

CAUSE_FIELDS: Final = ("error", "code", "field")
"""Those that most receipts are without."""

_OUTCOMES: Final[dict[str, OutcomeName]] = {one: one for one in get_args(OutcomeName)}
_CHOICES: Final[dict[str, ChoiceKind]] = {one: one for one in get_args(ChoiceKind)}


class Receipt(NamedTuple):
    """What became of one event for one integration. `event` is the id that logs show, or `body:`
    and 32 hexadecimal digits of the body's SHA-256.

    `updated_at`, `event_at`, `due_at` and `at` are milliseconds since 1970, the first two perhaps
    before it. `delivery` counts replays, 0 is the first life. `attempt` counts the attempts made so
    far, this one included.
    `user` is the keyed digest of the `organization_user_id`, see `user_hashes`.
    `attributes` maps the path of each mapping that spoke to what it said, null where that is no
    boolean. `due_at` is when what was retried or parked comes back. `config` is a digest of the
    integration's file. An `erased` receipt is of no event and has an id of its own: all receipts of
    its `user` before it are to be blanked, at its `integration` or, where that is empty, at all.
    `error` is what went wrong, where `reason` does not say it, and of every dead letter; `code` is
    Adobe's own, `field` the path of what is wrong with the event or can't be mapped.
    """

    event: str
    updated_at: int | None
    integration: str
    organization: str
    delivery: int
    outcome: OutcomeName
    reason: str
    attempt: int
    user: str | None
    choice: ChoiceKind | None
    attributes: Attributes
    event_at: int | None
    due_at: int | None
    status: int | None
    xaction: str | None
    config: str
    at: int
    error: str | None = None
    code: str | None = None
    field: str | None = None


class ReceiptFields(TypedDict):
    """A receipt as it is made, with the keys in the order of `Receipt`: a dictionary with known
    keys is made and written in half of the time.
    """

    event: str
    updated_at: int | None
    integration: str
    organization: str
    delivery: int
    outcome: OutcomeName
    reason: str
    attempt: int
    user: str | None
    choice: ChoiceKind | None
    attributes: Attributes
    event_at: int | None
    due_at: int | None
    status: int | None
    xaction: str | None
    config: str
    at: int
    error: NotRequired[str]
    code: NotRequired[str]
    field: NotRequired[str]


def encode_fields(receipt: ReceiptFields) -> bytes:
    """The row of a receipt, `MOST_ROW_BYTES` long at most: attributes that do not fit are left out,
    which a key "…" says. Raises TypeError for a text that UTF-8 can't write.
    """
    row = orjson.dumps(receipt)
    attributes = receipt["attributes"]
    if len(row) <= MOST_ROW_BYTES and len(attributes) <= MOST_ATTRIBUTES:
        return row
    return orjson.dumps({**receipt, "attributes": _that_fit(attributes)})


def encode_receipt(receipt: Receipt) -> bytes:
    """The row of a `Receipt`, see `encode_fields`."""
    said = receipt._asdict()
    for name in CAUSE_FIELDS:
        if said[name] is None:
            del said[name]
    return encode_fields(cast("ReceiptFields", said))


def read_receipt(row: bytes) -> Receipt:
    """The receipt that a row is. Raises `Unreadable`."""
    if len(row) > MOST_ROW_BYTES:
        raise Unreadable("a row is too long")
    said = object_of(row)
    outcome = _OUTCOMES.get(text_in(said, "outcome"))
    if outcome is None:
        raise Unreadable("outcome is none that this version knows")
    choice = optional_text_in(said, "choice")
    if choice is not None and choice not in _CHOICES:
        raise Unreadable("choice is none that this version knows")
    return Receipt(
        event=text_in(said, "event"),
        updated_at=optional_time_in(said, "updated_at"),
        integration=text_in(said, "integration"),
        organization=text_in(said, "organization"),
        delivery=number_in(said, "delivery"),
        outcome=outcome,
        reason=text_in(said, "reason"),
        attempt=number_in(said, "attempt"),
        user=optional_text_in(said, "user"),
        choice=None if choice is None else _CHOICES[choice],
        attributes=_attributes_in(said),
        event_at=optional_time_in(said, "event_at"),
        due_at=optional_number_in(said, "due_at"),
        status=optional_number_in(said, "status"),
        xaction=optional_text_in(said, "xaction"),
        config=text_in(said, "config"),
        at=number_in(said, "at"),
        error=optional_text_in(said, "error"),
        code=optional_text_in(said, "code"),
        field=optional_text_in(said, "field"),
    )


def body_id(body: bytes) -> str:
    """How a receipt calls an event that has no id of its own."""
    return f"body:{hashlib.sha256(body).hexdigest()[:32]}"


_ROOM_BYTES: Final = 8 * 1024
"""For attributes, where they do not fit; all other fields together have far less than the rest."""


def _that_fit(attributes: Attributes) -> Attributes:
    kept: Attributes = {}
    size = 0
    for path, said in attributes.items():
        size += len(orjson.dumps(path)) + len(":false,")
        if size > _ROOM_BYTES or len(kept) >= MOST_ATTRIBUTES - 1:
            break
        kept[path] = said
    return {**kept, _CUT: None}


def _attributes_in(said: dict[str, Any]) -> Attributes:
    value = said.get("attributes")
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MOST_ATTRIBUTES:
        raise Unreadable(f"attributes is not an object of at most {MOST_ATTRIBUTES} paths")
    for path, one in value.items():
        if len(path) > _MOST_PATH_CHARACTERS or not (one is None or type(one) is bool):
            raise Unreadable("attributes has something else than true, false and null")
    return value
