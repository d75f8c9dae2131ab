"""What an event shows on a page, and what it never does."""

from __future__ import annotations

from typing import Any

import pytest

from worker.console.masked_json import MOST_LINES, Line, event_lines, lines_of

PLANTED = ("lena@northwind.example", "crm-0815-4711", "+49 170 1234567", "Lena Meier", "s3cret")


def _text(lines: list[Line]) -> str:
    return "\n".join("".join(part.text for part in line.parts) for line in lines)


EVENT: dict[str, Any] = {
    "type": "event.created",
    "parameters": {
        "entity": {
            "id": "6f1c2f0e-0b6e-4c3d-9a51-2d1f6a3b4c5d",
            "organization_id": "northwind",
            "created_at": "2026-11-26T14:02:07.120Z",
            "status": "confirmed",
            "regulation": "gdpr",
            "version": 170123456789,
            "user": {
                "id": "crm-0815-4711",
                "organization_user_id": "lena@northwind.example",
                "metadata": {"Lena Meier": "s3cret", "email": "lena@northwind.example"},
                "country": "DE",
            },
            "delegate": {"id": "crm-0815-4711", "name": "Lena Meier"},
            "consents": {
                "purposes": [
                    {"id": "newsletter", "enabled": False, "metadata": {"x": "+49 170 1234567"}},
                    {"id": "lena@northwind.example", "enabled": None},
                    {"id": "topics", "values": {"choice": {"value": "Lena Meier"}}},
                ],
                "vendors": {"enabled": ["google", "+49 170 1234567"], "disabled": []},
                "tcfcs": "CPfoo",
            },
        }
    },
}


def test_what_is_no_person_s_is_shown_and_nothing_else() -> None:
    text = _text(event_lines(EVENT))
    for planted in PLANTED:
        assert planted not in text, planted
    for shown in (
        '"type": "event.created"',
        '"id": "6f1c2f0e-0b6e-4c3d-9a51-2d1f6a3b4c5d"',
        '"organization_id": "northwind"',
        '"created_at": "2026-11-26T14:02:07.120Z"',
        '"status": "confirmed"',
        '"id": "newsletter"',
        '"enabled": false',
        '"enabled": null',
        '"google"',
        '"choice": {',
        '"disabled": []',
        '"organization_user_id": "••••@••••.•• (e-mail)"',
        '"id": "•••• (id)"',
        '"version": •••• (number)',
        '"••••": "•••• (text)"',
    ):
        assert shown in text, shown
    assert '"country": "DE"' not in text


@pytest.mark.parametrize("key", ["type", "status", "regulation", "created_at", "id"])
@pytest.mark.parametrize("planted", [*PLANTED[:1], *PLANTED[2:4], 491701234567])
def test_a_field_that_is_mostly_shown_shows_no_person_either(key: str, planted: object) -> None:
    for document in ({key: planted}, {"consents": {"purposes": [{key: planted}]}}, [planted]):
        assert str(planted) not in _text(event_lines(document))


def test_each_line_knows_the_place_of_its_value() -> None:
    lines = event_lines({"consents": {"purposes": [{"id": "a", "enabled": True}]}, "x": []})
    places = {line.path: line.is_leaf for line in lines}
    assert places["consents", "purposes", 0, "enabled"] is True
    assert places["consents", "purposes"] is False
    assert places[("x",)] is True
    assert _text(lines).splitlines()[3] == "      {"


def test_what_is_long_or_deep_is_cut_and_says_so() -> None:
    lines = event_lines(list(range(5000)))
    assert len(lines) == MOST_LINES + 1
    assert "and more" in _text(lines[-1:])
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    assert "…" in _text(event_lines(deep))
    everything = lines_of({"ä": "\u202e"}, lambda path, value: True, lambda path, key: True)
    assert _text(everything) == '{\n  "ä": "\u202e"\n}'


@pytest.mark.parametrize("kind", ["user.created", "User.Updated", "user.merged", "", None, 7])
@pytest.mark.parametrize("key", ["entity", "new_entity", "old_entity"])
def test_the_id_of_an_entity_that_may_be_a_person_s_is_masked(kind: object, key: str) -> None:
    planted = "7b1d2c34-1111-4222-8333-944455556666"
    for document in (
        {"type": kind, "parameters": {key: {"id": planted}}},
        {"type": kind, key: {"id": planted}},
    ):
        assert planted not in _text(event_lines(document))
    assert planted in _text(
        event_lines({"type": "event.created", "parameters": {key: {"id": planted}}})
    )


def test_an_event_that_is_called_as_its_person_is_masked() -> None:
    planted = "7b1d2c34-1111-4222-8333-944455556666"
    for user in ({"id": planted}, {"organization_user_id": planted}):
        document = {"id": planted, "user": user, "consents": {}}
        assert planted not in _text(event_lines(document))


CRM = "7b1d2c34-1111-4222-8333-944455556666"


@pytest.mark.parametrize("planted", [CRM, "482913", "ev-0001", "lena-meier"])
@pytest.mark.parametrize(
    "said",
    [
        lambda text: {"metadata": {"id": text, "status": text, "organization_id": text}},
        lambda text: {"proofs": [{"id": text, "type": text}]},
        lambda text: {"validation": {"id": text}, "source": {"id": text}, "data": {"id": text}},
        lambda text: {"crm": {"id": text, "type": text}},
        lambda text: {"delegate": {"type": text, "metadata": {"regulation": text}}},
        lambda text: {"user": {"metadata": {"organization_id": text, "type": text}}},
        lambda text: {"entity": {"id": text}, "parameters": {"entity": {"id": text}}},
        lambda text: {"consents": {"purposes": [{"id": "a", "metadata": {"id": text}}]}},
        lambda text: {"consents": {"purposes": [{"metadata": {"values": {text: {"id": text}}}}]}},
        lambda text: {"consents": {"proofs": [{"id": text}], "metadata": {"disabled": [text]}}},
        lambda text: {"metadata": {"consents": {"purposes": [{"id": text}]}}},
        lambda text: {"metadata": {"parameters": {"new_entity": {"id": text}}}},
    ],
)
def test_an_id_is_shown_at_the_places_of_didomi_s_own_alone(planted: str, said: Any) -> None:
    own: dict[str, Any] = {"id": "6f1c2f0e-0b6e-4c3d-9a51-2d1f6a3b4c5d", "user": {}, "consents": {}}
    entity = own | said(planted)
    for document in (
        entity,
        {"type": "event.created", "parameters": {"entity": entity}},
        {"type": "event.updated", "parameters": {"old_entity": entity, "new_entity": entity}},
    ):
        text = _text(event_lines(document))
        assert planted not in text, text
        assert own["id"] in text
    beside = {"type": "event.created", "id": planted, "parameters": {"id": planted, "entity": own}}
    assert planted not in _text(event_lines(beside | {"entity": {"id": planted}}))


def test_the_ids_of_choices_are_shown_wherever_didomi_has_choices() -> None:
    channels = [{"id": "sms", "enabled": True}]
    preference = {"id": "topics", "enabled": True, "channels": channels}
    purpose = {"id": "news", "channels": channels, "preferences": [preference]}
    vendors = {"enabled": ["google"], "disabled_li": ["acme"]}
    consents = {"purposes": [purpose], "channels": [{"id": "post"}], "vendors": vendors}
    entity = {"id": CRM, "user": {}, "consents": consents}
    for document in (entity, {"type": "user.created", "parameters": {"entity": entity}}):
        text = _text(event_lines(document))
        for shown in ("news", "sms", "topics", "post", "google", "acme"):
            assert f'"{shown}"' in text


@pytest.mark.parametrize("said", [4915112345678, 7.5, True, None, ["4915112345678"], {"id": 4915}])
@pytest.mark.parametrize("key", ["entity", "new_entity"])
def test_what_stands_in_the_place_of_an_id_may_be_anything(said: Any, key: str) -> None:
    for document in ({"type": "event.created", "parameters": {key: {"id": said}}}, {"id": said}):
        assert "4915" not in _text(event_lines(document))


@pytest.mark.parametrize("document", [4915112345678, 7.5, "lena", True, None, [], {}])
def test_a_body_may_be_any_json(document: Any) -> None:
    shown = _text(event_lines(document))
    assert "4915" not in shown
    assert "lena" not in shown


@pytest.mark.parametrize(
    "user", [{"organization_user_id": " USR-778"}, {"id": "usr-778"}, {"id": 778}]
)
def test_the_id_of_an_event_that_is_its_persons_is_masked(user: dict[str, Any]) -> None:
    event_id = "778" if user == {"id": 778} else "usr-778"
    entity = {"id": event_id, "organization_id": "northwind", "user": user}
    text = _text(event_lines({"type": "event.created", "parameters": {"entity": entity}}))
    assert "778" not in text
