"""Which line of an event led to which line of what is sent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.examples import NOW_MS, event_document, integration
from worker.adobe.explanation import explain_event
from worker.console.highlighted_lines import NO_TAGS, tags_of
from worker.console.sent_lines import sent_lines

NEWS = {"id": "_acme.news", "value": "consents_purposes_news_enabled", "format": "consent-val"}
SMS = {"id": "_acme.sms", "value": "consents_purposes_offers_channels_sms_enabled"}
COUNTRY = {"id": "_acme.country", "value": "country"}
PURPOSES = {
    "purposes": [
        {"id": "news", "enabled": False},
        {"id": "offers", "channels": [{"id": "sms", "enabled": True}]},
        {"id": "unmapped", "enabled": True},
    ]
}


def _lines(document: Any, **changes: Any) -> list[tuple[str, str]]:
    """The lines of what is sent, with their tags."""
    made = integration(mappings=[NEWS, SMS, COUNTRY], **changes)
    explained = explain_event(orjson.dumps(document), made, 1_000_000)
    tags = tags_of(document, made, NOW_MS)
    return [
        ("".join(part.text for part in one.line.parts).strip(), one.tag)
        for one in sent_lines(explained["request"]["body"], made, tags)
    ]


def test_each_choice_is_tied_to_its_attribute() -> None:
    document = event_document(consents=PURPOSES)
    tags = tags_of(document, integration(mappings=[NEWS, SMS, COUNTRY]), NOW_MS)
    assert tags.attributes == {"_acme.news": "1", "_acme.sms": "2"}
    assert tags.lines["consents", "purposes", 0, "enabled"] == "1"
    assert tags.lines["consents", "purposes", 0, "id"] == "1"
    for path in ((1, "channels", 0, "enabled"), (1, "channels", 0, "id"), (1, "id")):
        assert tags.lines["consents", "purposes", *path] == "2"
    assert ("consents", "purposes", 2, "enabled") not in tags.lines
    assert tags.lines["user", "organization_user_id"] == "C"
    assert tags.lines[("created_at",)] == "B"
    assert tags.lines[("organization_id",)] == "A"


def test_the_only_choice_of_an_event_is_lit_though_nothing_is_sent_without_it() -> None:
    tags = tags_of(event_document(), integration(mappings=[NEWS]), NOW_MS)
    assert tags.lines["consents", "purposes", 0, "enabled"] == "1"


def test_what_adobe_gets_shows_choices_and_no_person() -> None:
    document = event_document(consents=PURPOSES)
    document["user"]["country"] = "Lena Meier"
    said = _lines(document, event_time_path="_acme.changed")
    text = "\n".join(line for line, _ in said)
    assert ('"val": "n"', "1") in said
    assert ('"sms": true,', "2") in said
    assert "lena@northwind.example" not in text
    assert "Lena Meier" not in text
    assert any(tag == "B" and "2026-03-02" in line for line, tag in said)
    assert any(tag == "C" and "••••@" in line for line, tag in said)
    assert any(tag == "3" and "(text)" in line for line, tag in said)
    assert '"flowId"' in text


def test_words_of_the_file_are_shown() -> None:
    mappings = [NEWS | {"format": "as-is", "constant": {"val": "declined", "why": "web"}}]
    document = event_document(consents=PURPOSES)
    made = integration(mappings=mappings)
    explained = explain_event(orjson.dumps(document), made, 1_000_000)
    tags = tags_of(document, made, NOW_MS)
    lines = sent_lines(explained["request"]["body"], made, tags)
    text = "".join(part.text for one in lines for part in one.line.parts)
    assert '"val": "declined"' in text


@pytest.mark.parametrize(
    "document", [{}, [], "x", event_document(organization_id="other", consents={})]
)
def test_where_nothing_is_sent_nothing_is_lit(document: Any) -> None:
    assert tags_of(document, integration(), NOW_MS) == NO_TAGS
