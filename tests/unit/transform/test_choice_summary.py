"""What may be told of a choice: a yes, a no, or nothing, however it is written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.examples import NOW_MS, envelope, integration
from worker.transform.choice_summary import told_attributes
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver

NEWS = "consents_purposes_news_enabled"


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"format": "y-n"},
        {"format": "consent-val"},
        {"format": "consent-val", "time_path": "_acme.news.time"},
        {"time_path": "_acme.newsTime"},
    ],
)
def test_a_yes_and_a_no_are_told_whatever_is_written(
    mapping: dict[str, Any], enabled: bool
) -> None:
    target = "_acme.news"
    shop = integration(mappings=[{"id": target, "value": NEWS, **mapping}])
    event = envelope(consents={"purposes": [{"id": "news", "enabled": enabled}]})
    choice = decide(shop, event, NOW_MS)
    assert isinstance(choice, Deliver)
    assert told_attributes(shop, choice) == {target: enabled}
    assert choice.kind == ("given" if enabled else "withdrawn")


def test_a_text_is_none_and_what_goes_along_is_no_choice() -> None:
    shop = integration(
        mappings=[
            {"id": "_acme.news", "value": NEWS},
            {"id": "_acme.note", "value": "metadata_note"},
            {"id": "_acme.flag", "constant": False},
            {"id": "_acme.number", "constant": 1},
        ]
    )
    event = envelope(
        user={"id": "d", "organization_user_id": "lena@a.example", "metadata": {"note": "y"}},
        consents={"purposes": [{"id": "news", "enabled": True}]},
    )
    choice = decide(shop, event, NOW_MS)
    assert isinstance(choice, Deliver)
    assert told_attributes(shop, choice) == {
        "_acme.news": True,
        "_acme.note": None,
        "_acme.flag": False,
        "_acme.number": None,
    }
    assert choice.kind == "given"
