"""What is kept of an attribute is what the event said: a changed mapping writes it anew."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.examples import NOW_MS, envelope, integration, snapshot
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver
from worker.transform.format_rendering import EMPTIED, Sent
from worker.transform.kept_sources import absent_source, render_source
from worker.transform.mapping_plan import Plan, plan_of

NEWS = "consents_purposes_news_enabled"
TOPICS = "consents_purposes_news_values_topics_value"
LENA = {"organization_user_id": "lena@northwind.example"}


def _target(*mappings: dict[str, Any]) -> Any:
    return integration(events="user", payload_mode="xdm", mappings=list(mappings))


def _plan(*mappings: dict[str, Any]) -> Plan:
    return plan_of(_target(*mappings))


def _delivered(*mappings: dict[str, Any], **user: Any) -> Deliver:
    decision = decide(_target(*mappings), snapshot(**user), NOW_MS)
    assert isinstance(decision, Deliver)
    return decision


MAPPINGS: list[dict[str, Any]] = [
    {"id": "a", "value": NEWS, "format": "consent-val", "time_path": "a.time"},
    {"id": "b", "value": TOPICS, "format": "list"},
    {"id": "c", "value": "metadata_points", "format": "text"},
    {"id": "d", "constant": {"x": [1]}},
    {"id": "e", "value": "created_at"},
    {"id": "f", "value": TOPICS, "constant": "some", "empty": "none"},
]


@pytest.mark.parametrize("topics", ["shoes,bags", ""])
def test_by_the_same_mapping_it_is_what_was_sent(topics: str) -> None:
    purpose = {"id": "news", "enabled": False, "values": {"topics": {"value": topics}}}
    choice = _delivered(*MAPPINGS, consents={"purposes": [purpose]}, metadata={"points": 12.5})
    assert choice.sources is not None
    assert choice.sources.keys() == choice.attributes.keys() == {*"abcdef"}
    kept = orjson.loads(orjson.dumps(choice.sources))
    plan = _plan(*MAPPINGS)
    again = {
        path: render_source(plan, path, source, choice.event_time_ms)
        for path, source in kept.items()
    }
    assert again == choice.attributes


SOURCE = [NEWS, True, False]


@pytest.mark.parametrize(
    ("mapping", "source", "written"),
    [
        ({"id": "x", "value": NEWS}, SOURCE, True),
        ({"id": "x", "value": NEWS, "format": "y-n"}, [NEWS, False, False], "n"),
        ({"id": "x", "value": TOPICS}, [TOPICS, "", False], EMPTIED),
        ({"id": "x", "value": TOPICS, "empty": "none"}, [TOPICS, "", False], "none"),
        ({"id": "x", "value": NEWS}, [NEWS, None, False], EMPTIED),
        ({"id": "x", "value": NEWS, "absent": False}, [NEWS, None, False], False),
        ({"id": "x", "constant": "new"}, ["", None, False], "new"),
    ],
)
def test_a_changed_option_writes_it_anew(
    mapping: dict[str, Any], source: list[Any], written: Any
) -> None:
    said = render_source(_plan(mapping), "x", source, 0)
    assert getattr(said, "value", said) == getattr(written, "value", written)


@pytest.mark.parametrize(
    ("mapping", "source"),
    [
        pytest.param({"id": "y", "value": NEWS}, SOURCE, id="gone"),
        pytest.param({"id": "x", "value": "consents_purposes_b_enabled"}, SOURCE, id="moved"),
        pytest.param({"id": "x", "constant": True}, SOURCE, id="a constant now"),
        pytest.param({"id": "x", "value": NEWS}, ["", None, False], id="a constant before"),
        pytest.param({"id": "x", "value": NEWS}, [NEWS, True, True], id="not confirmed"),
        pytest.param(
            {"id": "x", "value": "metadata_x", "format": "boolean"},
            ["metadata_x", "hush", False],
            id="not to be written so",
        ),
        pytest.param({"id": "x", "value": "metadata_x"}, ["metadata_x", ["a"], False], id="a list"),
    ],
)
def test_what_no_mapping_writes_is_not_sent(mapping: dict[str, Any], source: list[Any]) -> None:
    assert render_source(_plan(mapping), "x", source, 0) is None


def test_what_is_not_confirmed_is_written_as_such() -> None:
    plan = plan_of(integration(mappings=[{"id": "x", "value": NEWS, "pending": "p"}]))
    assert render_source(plan, "x", [NEWS, True, True], 0) == "p"
    assert render_source(plan, "x", [NEWS, True, False], 0) is True


def test_it_is_kept_that_a_choice_still_has_to_be_confirmed() -> None:
    mappings = [{"id": "x", "value": NEWS, "pending": "p"}, {"id": "t", "value": "created_at"}]
    completing = integration(mappings=mappings).model_copy(update={"payload_mode": "xdm"})
    choice = decide(completing, envelope(status="pending_approval"), NOW_MS)
    assert isinstance(choice, Deliver)
    assert choice.sources is not None
    again = {
        path: render_source(plan_of(completing), path, source, choice.event_time_ms)
        for path, source in choice.sources.items()
    }
    assert again == choice.attributes == {"x": "p", "t": "2026-03-02T08:15:30.120Z"}


def test_what_is_taken_back_is_kept_as_such() -> None:
    plan = _plan({"id": "x", "value": NEWS, "absent": False, "time_path": "t"})
    again = render_source(plan, "x", absent_source(plan, "x"), 1_000)
    assert again == Sent(False, True, "t", 1_000)


def test_nothing_is_kept_where_nothing_is_completed() -> None:
    news = {"id": "x", "value": NEWS, "absent": False}
    source = {"id": "source", "constant": "didomi"}
    decision = decide(integration(events="user", mappings=[news, source]), snapshot(), NOW_MS)
    assert isinstance(decision, Deliver)
    assert (decision.sources, decision.companions) == (None, frozenset({"source"}))
