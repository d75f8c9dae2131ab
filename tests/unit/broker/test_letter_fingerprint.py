"""Letters that are dead of one cause have one fingerprint, whoever they are of."""

from __future__ import annotations

from typing import Any

import pytest

from worker.broker.dead_letter import DeadLetter, fingerprint_of
from worker.broker.letter_filter import Filter
from worker.evidence.letter_cause import GROUP_ID, Fingerprint


def _letter(**said: Any) -> DeadLetter:
    letter: dict[str, Any] = {
        "id": "a",
        "reason": "adobe-rejected",
        "integration": "shop",
        "error": "adobe-rejected",
        "detail": None,
        "http_status": 400,
        "attempts": 1,
        "first_attempt_at_ms": None,
        "dead_at_ms": None,
        "replays": 0,
        "epoch": None,
        "config": None,
        "body_bytes": 5,
    }
    return DeadLetter(**(letter | said))


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ("HTTP 400: DCVS-1106-400: Invalid XDM Message Format: required key", "DCVS-1106-400"),
        ("HTTP 404: UPS-ACC-1234567 (text 3f9a01c2de)", "UPS-ACC-1234567"),
        ("HTTP 400: invalid_client (text 3f9a01c2de)", "invalid_client"),
        ("HTTP 403: 403025: Forbidden", "403025"),
        ("HTTP 400: Bad Request (text 3f9a01c2de)", None),
        ("HTTP 503 (text 3f9a01c2de)", None),
        ("", None),
        (None, None),
    ],
)
def test_adobes_code_is_the_first_one_of_its_words(detail: str | None, code: str | None) -> None:
    assert fingerprint_of(_letter(detail=detail)).adobe_code == code


@pytest.mark.parametrize(
    ("reason", "detail", "field"),
    [
        ("invalid-event", "consents.purposes[3].enabled: must be a boolean", True),
        ("invalid-event", "consents.purposes[0].values.*.value: must be a string", True),
        ("invalid-event", "the body must be a JSON object", False),
        ("unknown-type", "type: must be one of event.created", True),
        ("retries-exhausted", "timeout: no answer", False),
        ("invalid-event", f"{'x' * 300}: must be a boolean", False),
    ],
)
def test_the_field_is_the_path_that_a_detail_begins_with(
    reason: str, detail: str, field: bool
) -> None:
    found = fingerprint_of(_letter(reason=reason, detail=detail)).field
    path = detail.partition(":")[0].replace("[3]", "[]").replace("[0]", "[]")
    assert found == (path if field else None)


@pytest.mark.parametrize(
    ("reason", "detail", "field"),
    [
        ("ambiguous-mapping", "the event gives different values to consents_a_enabled", True),
        ("invalid-event", "the value at consents_a_enabled must be a boolean or a string", True),
        ("invalid-event", "what goes to consents_a_enabled is a list or an object, …", True),
        ("no-identity", "no usable value for user_identifier email", False),
    ],
)
def test_of_a_mapping_that_can_not_be_written_it_is_the_key(
    reason: str, detail: str, field: bool
) -> None:
    found = fingerprint_of(_letter(reason=reason, detail=detail)).field
    assert found == ("consents_a_enabled" if field else None)


def test_what_differs_in_values_alone_is_one_group() -> None:
    texts = (
        "HTTP 400: DCVS-1106-400: required key (text 3f9a01c2de) (transaction 1565650704337:2:92)",
        "HTTP 400: DCVS-1106-400: expected type (text aaaaaaaaaa)",
    )
    one, other = (
        fingerprint_of(_letter(id=text[-4:], detail=text, attempts=number, replays=number))
        for number, text in enumerate(texts)
    )
    assert one == other
    assert GROUP_ID.fullmatch(one.group)


def test_a_group_has_the_same_id_in_every_version() -> None:
    known = Fingerprint("retries-exhausted", "timeout", None, None, None, "shop", None)
    assert known.group == "b6dd2ca2"


@pytest.mark.parametrize(
    "said",
    [
        {"reason": "poison"},
        {"error": "timeout"},
        {"http_status": 422},
        {"integration": "press"},
        {"config": "0123456789ab"},
    ],
)
def test_another_cause_is_another_group(said: dict[str, Any]) -> None:
    group = fingerprint_of(_letter()).group
    assert fingerprint_of(_letter(**said)).group != group
    assert Filter(group=group).matches(_letter())
    assert not Filter(group=group).matches(_letter(**said))
