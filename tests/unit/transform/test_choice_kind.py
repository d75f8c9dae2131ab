"""Which choices count as withdrawals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.examples import NOW_MS, envelope, integration, snapshot
from worker.events import Envelope
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver

NEWS = "consents_purposes_news_enabled"
ADS = "consents_purposes_ads_enabled"


def _kind(event: Envelope, *mappings: dict[str, Any], **changes: Any) -> str:
    document = [{"id": f"_acme.a{at}", **one} for at, one in enumerate(mappings)]
    decision = decide(integration(mappings=document, **changes), event, NOW_MS)
    assert isinstance(decision, Deliver), decision
    return decision.kind


def _choice(**enabled: bool | None) -> Envelope:
    purposes = [{"id": name, "enabled": said} for name, said in enabled.items()]
    return envelope(
        consents={"purposes": purposes},
        user={
            "id": "device",
            "organization_user_id": "lena@northwind.example",
            "metadata": {"vip": False, "visits": 0, "tier": "gold"},
        },
    )


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (_choice(news=True, ads=True), "given"),
        (_choice(news=True, ads=False), "withdrawn"),
        (_choice(news=False), "withdrawn"),
        (_choice(news=True), "given"),
        (_choice(news=True, ads=None), "given"),
        (_choice(news=True, unmapped=False), "given"),
    ],
)
def test_one_mapped_boolean_that_is_false_makes_a_withdrawal(event: Envelope, kind: str) -> None:
    assert _kind(event, {"value": NEWS}, {"value": ADS}) == kind


@pytest.mark.parametrize(
    "written", [{"format": "consent-val"}, {"format": "y-n"}, {"format": "inverted"}]
)
def test_however_the_booleans_are_written(written: dict[str, Any]) -> None:
    assert _kind(_choice(news=False), {"value": NEWS, **written}) == "withdrawn"
    assert _kind(_choice(news=True), {"value": NEWS, **written}) == "given"


def test_booleans_in_metadata_are_no_choices() -> None:
    vip, visits = {"value": "metadata_vip"}, {"value": "metadata_visits"}
    assert _kind(_choice(news=True), {"value": NEWS}, vip, visits) == "given"
    assert _kind(_choice(news=False), {"value": NEWS}, vip, visits) == "withdrawn"
    assert _kind(_choice(news=True), {"value": "metadata_tier"}, vip) == "other"


def test_a_snapshot_is_a_withdrawal_while_any_of_its_booleans_is_false() -> None:
    mapped = ({"value": NEWS, "absent": False}, {"value": ADS, "absent": False})
    for ads, kind in ((True, "given"), (False, "withdrawn")):
        purposes = [{"id": "news", "enabled": True}, {"id": "ads", "enabled": ads}]
        event = snapshot(consents={"purposes": purposes})
        assert _kind(event, *mapped, events="user") == kind


def test_a_consent_that_still_has_to_be_confirmed_is_not_given() -> None:
    event = envelope(status="pending_approval")
    assert _kind(event, {"value": NEWS, "pending": "asked"}) == "other"
