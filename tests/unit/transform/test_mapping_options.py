"""The options of a mapping: the table of the docs row by row, and the rules between the rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.examples import NOW_MS, event_document, integration
from worker.events import open_envelope
from worker.integrations.attribute_mapping import Mapping
from worker.integrations.format_steps import FORMATS
from worker.ordering.newest_fold import fold
from worker.reasons import DeadReason, SkipReason
from worker.transform.decide import decide
from worker.transform.decision_types import Decision, Deliver, Reject, Skip
from worker.transform.flattening import attributes_of
from worker.transform.format_rendering import EMPTIED, Sent, UnusableValue
from worker.transform.mapping_plan import plan_of
from worker.transform.xdm_message import build_record, nest

LENA = "lena@northwind.example"
AT_MS = 1_772_439_330_120
NEWS = "consents_purposes_news_enabled"
TOPICS = "consents_purposes_news_values_topics_value"
PAGE = (Path(__file__).parents[3] / "docs" / "mappings.md").read_text()
TABLE = PAGE.partition("<!-- options -->")[2].partition("<!-- /options -->")[0]
ROWS = [
    [json.loads(re.sub(r"^`|`$", "", cell.strip())) for cell in row.split("|")[2:5]]
    for row in TABLE.strip().splitlines()[2:]
]


def _attributes(flat: dict[str, Any], *mappings: dict[str, Any], is_pending: bool = False) -> Any:
    plan = plan_of(integration(mappings=list(mappings)))
    return attributes_of(plan, flat, AT_MS, is_pending=is_pending)


def _decide(*mappings: dict[str, Any], **event: Any) -> Decision:
    body = json.dumps(event_document(**event)).encode()  # orjson writes no number beyond 64 bits
    return decide(integration(mappings=list(mappings)), open_envelope(body), NOW_MS)


@pytest.mark.parametrize(("mapping", "flat", "record"), ROWS, ids=json.dumps)
def test_a_row_of_the_docs(
    mapping: dict[str, Any], flat: dict[str, Any], record: dict[str, Any]
) -> None:
    plan = plan_of(
        integration(mappings=[mapping], events="user" if "absent" in mapping else "event")
    )
    said = attributes_of(plan, flat, AT_MS, is_pending="pending" in mapping).said
    if "absent" in mapping:
        said = {**plan.absent_at(AT_MS), **said}
    assert nest(said, LENA) == record


def test_every_option_and_every_format_has_a_row() -> None:
    given = {name for mapping, *_ in ROWS for name in mapping}
    assert given == set(Mapping.model_fields)
    options = {row.split("|")[1] for row in TABLE.strip().splitlines()[2:]}
    assert {one for one in FORMATS if not any(f"`{one}`" in cell for cell in options)} == set()


@pytest.mark.parametrize(
    ("steps", "value", "sent"),
    [
        ("boolean", "Yes", True),
        ("boolean", " OFF ", False),
        ("boolean", 1, True),
        ("boolean", 0, False),
        ("boolean", True, True),
        (["boolean", "inverted"], "no", Sent(True, True, None, AT_MS)),
        (["boolean", "consent-val"], "n", {"val": "n"}),
        (["boolean", "y-n"], "n", Sent("n", True, None, AT_MS)),
        ("text", True, "true"),
        ("text", 0.5, "0.5"),
        ("text", ["a", 7, None, ""], "a,7"),
        ("list", "shoes, bags,", ["shoes", "bags"]),
        ("list", ["shoes", 7, None], ["shoes", 7]),
        ("list", 7, [7]),
        ("contains:shoes", "bags, shoes", True),
        ("contains:shoe", "shoes", False),
        ("contains:shoes", "", False),
        ("contains:shoes", [], False),
        ("contains:shoes", ["shoes"], True),
        ("contains:7", [7, 8], True),
        ("contains:7", ["7", None, {"7": 7}], True),
        ("contains:7", [70, [7]], False),
        ("contains:0.5", [0.5], True),
        ("contains:true", [True], True),
        ("contains:7", "7,8", True),
        ("contains:7", 7, True),
        ("contains:7", 8, False),
        (["contains:shoes", "inverted"], "bags", Sent(True, True, None, AT_MS)),
    ],
)
def test_what_a_format_makes_of_a_value(steps: Any, value: Any, sent: Any) -> None:
    said = _attributes({"metadata_x": value}, {"id": "a", "value": "metadata_x", "format": steps})
    assert said.said == {"a": sent}
    assert type(said.said["a"]) is type(sent)


@pytest.mark.parametrize(
    ("steps", "value"),
    [
        ("boolean", "hush"),
        ("boolean", 2),
        ("y-n", "yes"),
        ("inverted", 0),
        ("contains:x", True),
    ],
)
def test_what_a_format_can_t_write_is_refused_by_its_place(steps: Any, value: Any) -> None:
    mapping = {"id": "a", "value": "metadata_x", "format": steps}
    with pytest.raises(UnusableValue, match="the value at metadata_x ") as refused:
        _attributes({"metadata_x": value}, mapping)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("steps", "tier"),
    [
        ("as-is", ["gold"]),
        ("as-is", {"is": "gold"}),
        ("text", {"is": "gold"}),
        ("text", [{"is": "gold"}]),
        ("list", {"is": "gold"}),
        ("list", [["gold"]]),
        ("boolean", ["yes"]),
        ("boolean", {"yes": True}),
        ("inverted", [True]),
        ("y-n", {"is": True}),
        ("consent-val", [False]),
        ("contains:gold", {"gold": 1}),
        (["boolean", "text"], [1]),
        ("as-is", 2**64),
        ("as-is", -(2**63) - 1),
        ("text", 123456789012345678901),
        ("text", [123456789012345678901]),
        ("list", [1, 123456789012345678901]),
        ("contains:7", [7, 123456789012345678901]),
        ("contains:123456789012345678901", 123456789012345678901),
        ("boolean", 123456789012345678901),
    ],
)
def test_what_its_format_does_not_write_or_has_lost_digits_takes_nothing_along(
    steps: Any, tier: Any
) -> None:
    decision = _decide(
        {"id": "news", "value": NEWS},
        {"id": "tier", "value": "metadata_tier", "format": steps},
        {"id": "other", "value": "metadata_other"},
        user={"organization_user_id": LENA, "metadata": {"tier": tier}},
    )
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"news": True}
    assert (decision.unmatched, decision.unusable) == (("other",), ("tier",))


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 2**53 + 1, 0.5])
def test_a_number_of_64_bits_is_sent_with_all_its_digits(number: float) -> None:
    decision = _decide(
        {"id": "as-is", "value": "metadata_n"},
        {"id": "text", "value": "metadata_n", "format": "text"},
        user={"organization_user_id": LENA, "metadata": {"n": number}},
    )
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"as-is": number, "text": str(number)}


def test_a_constant_alone_goes_along_and_never_alone() -> None:
    constant, news = {"id": "source", "constant": "didomi"}, {"id": "news", "value": NEWS}
    decision = _decide(constant, news)
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"news": True, "source": "didomi"}
    assert _decide(constant, news, consents={}) == Skip(SkipReason.NOTHING_MAPPED)


def test_facts_of_the_event_make_no_message_by_themselves() -> None:
    time, news = {"id": "time", "value": "created_at"}, {"id": "news", "value": NEWS}
    decision = _decide(time, news)
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"time": "2026-03-02T08:15:30.120Z", "news": True}
    assert _decide(time, news, consents={}) == Skip(SkipReason.NOTHING_MAPPED)


@pytest.mark.parametrize("empty", ["", None])
def test_an_emptied_preference_contains_nothing(empty: str | None) -> None:
    """Null is no news, and what says nothing is remembered."""
    decision = _decide(
        {"id": "news", "value": NEWS},
        {"id": "shoes", "value": TOPICS, "format": "contains:shoes"},
        {"id": "as-is", "value": TOPICS},
        {"id": "list", "value": TOPICS, "format": "list"},
        {"id": "text", "value": TOPICS, "format": "text"},
        {"id": "boolean", "value": TOPICS, "format": "boolean"},
        consents={
            "purposes": [{"id": "news", "enabled": True, "values": {"topics": {"value": empty}}}]
        },
    )
    assert isinstance(decision, Deliver)
    silent = dict.fromkeys(("as-is", "list", "text", "boolean"), EMPTIED)
    shoes = {} if empty is None else {"shoes": False} | silent
    assert decision.attributes == {"news": True} | shoes


def _choice(value: bool, at: str, **mapping: Any) -> Deliver:
    decision = _decide(
        {"id": "x", "value": NEWS} | mapping,
        id=at,
        created_at=f"2026-03-02T{at}:00Z",
        consents={"purposes": [{"id": "news", "enabled": value}]},
    )
    assert isinstance(decision, Deliver)
    return decision


def test_the_time_of_a_choice_is_that_of_the_value_which_is_sent() -> None:
    for order in (1, -1):
        events = [_choice(True, at, time_path="t") for at in ("11:00", "10:00")][::order]
        folded = fold(events, {})
        record = build_record(integration(), folded.attributes, events[0].identity, 0)
        assert (record["x"], record["t"]) == (True, "2026-03-02T11:00:00.000Z")
        assert set(folded.written) == {"x"}, "the time has no order of its own"
    newer = fold([_choice(True, "11:00", time_path="t")], {}).written
    assert fold([_choice(True, "10:00", time_path="t")], newer).attributes == {}


@pytest.mark.parametrize(
    "steps", ["as-is", "inverted", "y-n", "consent-val", "text", ["inverted", "y-n"]]
)
def test_of_two_at_once_the_refusal_wins_however_it_is_written(steps: Any) -> None:
    no, yes = (_choice(value, "10:00", format=steps) for value in (False, True))
    for order in ([no, yes], [yes, no]):
        assert fold(order, {}).attributes == no.attributes


def test_the_person_is_put_in_where_the_message_is_made_and_nowhere_before() -> None:
    decision = _decide(
        {"id": "ids.<value>.val", "value": NEWS, "time_path": "ids.<value>.time"},
        user={"organization_user_id": "l.h.holm@b.example"},
    )
    assert isinstance(decision, Deliver)
    assert "holm" not in repr((decision.attributes, fold([decision], {}).written))
    record = build_record(integration(), decision.attributes, decision.identity, 0)
    assert record["ids"] == {
        "l.h.holm@b.example": {"val": True, "time": "2026-03-02T08:15:30.120Z"}
    }


PENDING = {"id": "x", "value": NEWS, "pending": "p"}


def _pending(value: bool, *mappings: dict[str, Any], **event: Any) -> Decision:
    consents = {"purposes": [{"id": "news", "enabled": value}, {"id": "b", "enabled": True}]}
    return _decide(*mappings, status="pending_approval", consents=consents, **event)


def test_a_consent_to_be_confirmed_is_sent_where_the_mapping_says_as_what() -> None:
    other = {"id": "b", "value": "consents_purposes_b_enabled"}
    decision = _pending(True, PENDING, other, {"id": "s", "value": "status"})
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"x": "p", "s": "pending_approval"}
    assert decision.unmatched == ("b",)


@pytest.mark.parametrize("steps", ["as-is", "inverted", "y-n", "consent-val"])
def test_a_refusal_to_be_confirmed_waits(steps: str) -> None:
    mapping = PENDING | {"format": steps, "pending": {"val": "p"}}
    assert _pending(False, mapping) == Skip(SkipReason.PENDING_APPROVAL)


@pytest.mark.parametrize("updated_at", [None, "2026-03-02T08:15:30.120Z", "2026-03-02T09:00:00Z"])
def test_a_confirmation_is_newer_than_what_it_confirms(updated_at: str | None) -> None:
    """Even where the producer tells no update, or the same one of both."""
    waiting = _pending(True, PENDING, updated_at=updated_at)
    confirmed = _decide(PENDING, updated_at=updated_at)
    assert isinstance(waiting, Deliver)
    assert isinstance(confirmed, Deliver)
    for order in ([waiting, confirmed], [confirmed, waiting]):
        assert fold(order, {}).attributes == {"x": True}
    stored = fold([waiting], {}).written
    assert fold([confirmed], stored).attributes == {"x": True}
    assert fold([waiting], fold([confirmed], {}).written).attributes == {}


EVENT: dict[str, Any] = {
    "domain": "prefs.b.example",
    "updated_at": "2026-03-02T09:00:00Z",
    "metadata": {"form": "footer", "step": 2},
    "delegate": {"id": "agent-17", "name": "Call centre", "metadata": {"desk": "B"}},
    "consents": {
        "purposes": [{"id": "news", "enabled": True, "metadata": {"text": "v2"}}],
        "vendors": {
            "enabled": ["c:a_b"],
            "disabled": ["c:no"],
            "enabled_li": ["c:no"],
            "disabled_li": ["c:a_b"],
        },
        "tcfcs": "CPok",
    },
}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("created_at", "2026-03-02T08:15:30.120Z"),
        ("updated_at", "2026-03-02T09:00:00.000Z"),
        ("event_id", "ev-1"),
        ("domain", "prefs.b.example"),
        ("regulation", "gdpr"),
        ("status", "confirmed"),
        ("delegate_id", "agent-17"),
        ("delegate_name", "Call centre"),
        ("delegate_metadata_desk", "B"),
        ("event_metadata_form", "footer"),
        ("event_metadata_step", 2),
        ("consents_purposes_news_metadata_text", "v2"),
        ("consents_tcfcs", "CPok"),
        ("consents_vendors_c:a_b_enabled", True),
        ("consents_vendors_c:no_enabled", False),
        ("consents_vendors_c:a_b_enabled_li", False),
        ("consents_vendors_c:no_enabled_li", True),
    ],
)
def test_all_that_an_event_has_may_be_mapped(place: str, expected: object) -> None:
    decision = _decide({"id": "news", "value": NEWS}, {"id": "x", "value": place}, **EVENT)
    assert isinstance(decision, Deliver)
    assert decision.attributes == {"news": True, "x": expected}


def test_a_vendor_makes_a_message_by_itself() -> None:
    decision = _decide({"id": "x", "value": "consents_vendors_c:no_enabled"}, **EVENT)
    assert isinstance(decision, Deliver)


def test_a_vendor_that_is_both_is_not_guessed() -> None:
    consents = {"vendors": {"enabled": ["v"], "disabled": ["v"]}}
    decision = _decide({"id": "x", "value": "consents_vendors_v_enabled"}, consents=consents)
    assert isinstance(decision, Reject)
    assert decision.reason == DeadReason.AMBIGUOUS_MAPPING


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"domain": ["hush"]}, "domain"),
        ({"delegate": "hush"}, "delegate"),
        ({"delegate": {"name": 7}}, "delegate.name"),
        ({"delegate": {"metadata": "hush"}}, "delegate.metadata"),
        ({"metadata": ["hush"]}, "metadata"),
        ({"consents": {"vendors": ["hush"]}}, "consents.vendors"),
        ({"consents": {"vendors": {"enabled": [7]}}}, "consents.vendors.enabled"),
        ({"consents": {"tcfcs": {"a": "hush"}}}, "consents.tcfcs"),
    ],
)
def test_what_is_beside_the_choices_is_judged_only_where_it_is_mapped(
    event: dict[str, Any], field: str
) -> None:
    consents = {"purposes": [{"id": "news", "enabled": True}]} | event.get("consents", {})
    whole = event | {"consents": consents}
    assert isinstance(_decide({"id": "news", "value": NEWS}, **whole), Deliver)
    decision = _decide({"id": "news", "value": NEWS}, {"id": "x", "value": "domain"}, **whole)
    assert isinstance(decision, Reject)
    assert decision.detail.startswith(f"{field}: ")
    assert "hush" not in decision.detail


def test_a_snapshot_has_neither_an_event_s_id_nor_its_metadata() -> None:
    """Its id may be that of an advertising device, and its metadata is the user's."""
    entity = event_document(
        updated_at="2026-03-02T09:00:00Z",
        organization_user_id=LENA,
        metadata={"tier": "gold"},
    )
    places = ["created_at", "event_id", "event_metadata_tier", "metadata_tier", "status"]
    target = integration(
        events="user",
        payload_mode="xdm",
        mappings=[{"id": "news", "value": NEWS}, *({"id": one, "value": one} for one in places)],
    )
    body = json.dumps({"type": "user.updated", "parameters": {"new_entity": entity}}).encode()
    decision = decide(target, open_envelope(body), NOW_MS)
    assert isinstance(decision, Deliver)
    assert decision.attributes == {
        "news": True,
        "created_at": "2026-03-02T09:00:00.000Z",
        "metadata_tier": "gold",
    }
