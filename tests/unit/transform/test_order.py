"""Which of two choices of one moment is the newer, where the time of an update does not tell it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.examples import NOW_MS, event_document, integration, snapshot
from worker.events import Envelope, open_envelope
from worker.ordering.newest_fold import fold, stamps_of
from worker.ordering.stamp import Stamp
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver
from worker.transform.tie_order import tie_break

AT = "2026-03-02T08:15:30.120Z"
LATER = "2026-03-02T09:00:00.000Z"


def _event(kind: str, enabled: bool, **fields: Any) -> Envelope:
    consents = {"purposes": [{"id": "news", "enabled": enabled}]}
    key = "new_entity" if kind.endswith("updated") else "entity"
    entity = event_document(consents=consents, **fields)
    return open_envelope(orjson.dumps({"type": kind, "parameters": {key: entity}}))


def _choice(envelope: Envelope) -> Deliver:
    absent = {"id": "_acme.news", "value": "consents_purposes_news_enabled", "absent": False}
    of_users = {"events": "user", "mappings": [absent]} if envelope.is_snapshot else {}
    decision = decide(integration(**of_users), envelope, NOW_MS)
    assert isinstance(decision, Deliver)
    return decision


def _stamp(envelope: Envelope) -> Stamp:
    return stamps_of(_choice(envelope))["_acme.news"]


@pytest.mark.parametrize("created", [None, AT])
@pytest.mark.parametrize("updated", [None, "2026-03-02T08:15:30Z", AT, LATER])
def test_a_changed_event_is_newer_than_its_creation(
    created: str | None, updated: str | None
) -> None:
    """A refusal that was changed into a consent, even where nobody tells when."""
    refused = _choice(_event("event.created", False, updated_at=created))
    changed = _choice(_event("event.updated", True, updated_at=updated))
    for order in ([refused, changed], [changed, refused]):
        assert fold(order, {}).attributes == {"_acme.news": True}
    written = fold([changed], {}).written
    assert fold([refused], written).attributes == {}
    assert Stamp.decode(written["_acme.news"].encode()) == written["_acme.news"]


def test_so_it_is_of_an_event_of_before_1970() -> None:
    created_at = "1969-12-31T23:59:00Z"
    created = _event("event.created", False, created_at=created_at)
    assert _stamp(_event("event.updated", True, created_at=created_at)) > _stamp(created)


def test_of_changes_without_a_time_nobody_knows_the_last_and_the_refusal_wins() -> None:
    yes, no = (_choice(_event("event.updated", enabled)) for enabled in (True, False))
    for order in ([yes, no], [no, yes]):
        assert fold(order, {}).attributes == {"_acme.news": False}


def test_a_change_with_a_time_is_newer_than_one_without() -> None:
    told, untold = _event("event.updated", True, updated_at=LATER), _event("event.updated", False)
    assert _stamp(told) > _stamp(untold)


def test_a_change_that_is_not_confirmed_is_not_newer() -> None:
    pending = {"id": "_acme.news", "value": "consents_purposes_news_enabled", "pending": "p"}
    waiting = decide(
        integration(mappings=[pending]),
        _event("event.updated", True, status="pending_approval"),
        NOW_MS,
    )
    assert isinstance(waiting, Deliver)
    assert stamps_of(waiting)["_acme.news"] < _stamp(_event("event.created", True))


def _user(version: Any, enabled: bool) -> Envelope:
    consents = {"purposes": [{"id": "news", "enabled": enabled}]}
    return snapshot(version=version, consents=consents, updated_at="2026-03-02T08:15:30Z")


@pytest.mark.parametrize(("older", "newer"), [(4, 5), (9, 10), (4.0, 5), (None, 1)])
def test_of_two_snapshots_of_one_second_the_higher_version_is_newer(older: Any, newer: Any) -> None:
    assert _stamp(_user(older, False)) < _stamp(_user(newer, True))


@pytest.mark.parametrize("version", ["5", True, -1, 10**15, [5], {}])
def test_a_version_that_is_none_tells_nothing(version: Any) -> None:
    assert _stamp(_user(version, False)) > _stamp(_user(version, True)), "the refusal wins"
    assert _stamp(_user(version, True)) < _stamp(_user(1, True))


@pytest.mark.parametrize(
    ("envelope", "said"),
    [
        (_event("event.created", True), "no updated_at, so any change of the event is newer"),
        (_event("event.created", True, updated_at=LATER), f"updated_at {LATER}"),
        (_event("event.updated", True), "event.updated that does not tell when, so it is"),
        (_event("event.updated", True, updated_at=AT), "event.updated that does not tell when"),
        (_event("event.updated", True, updated_at=LATER), f"updated_at {LATER}"),
        (_user(7, True), "version 7"),
        (_user(None, True), "no version, so a refusal wins"),
    ],
)
def test_it_is_said_by_what_a_choice_is_ordered(envelope: Envelope, said: str) -> None:
    assert tie_break(envelope, _choice(envelope)).startswith(said)
