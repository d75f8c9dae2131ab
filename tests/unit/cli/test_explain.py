"""`explain`: every outcome, in both forms, and what it never shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import CommandLine
from tests.unit.examples import event_document

KEYS = {
    "outcome",
    "reason",
    "detail",
    "note",
    "identity",
    "order",
    "attributes",
    "emptied",
    "unmatched",
    "unusable",
    "mappings",
    "request",
}


def _event(**changes: Any) -> bytes:
    return json.dumps(event_document(**changes)).encode()


def _user(user_id: str) -> dict[str, Any]:
    return {"user": {"organization_user_id": user_id}}


def test_a_delivery_is_shown_as_it_would_be_sent(cli: CommandLine) -> None:
    unmatched = {"id": "_acme.country", "value": "country"}
    news = {"id": "_acme.news", "value": "consents_purposes_news_enabled"}
    cli.add("shop", mappings=[news, unmatched])
    ran = cli.run("explain", "-", "--integration", "shop", "--json", stdin=_event())
    assert ran.code == 0
    assert ran.document.keys() == KEYS
    assert ran.document["outcome"] == "deliver"
    assert ran.document["note"] is None
    assert ran.document["identity"] == {"email": "lena@northwind.example"}
    assert ran.document["attributes"] == {"_acme.news": True}
    assert ran.document["unmatched"] == ["_acme.country"]
    request = ran.document["request"]
    assert request["url"] == "https://dcs.adobedc.net/collection/1"
    assert request["headers"]["Authorization"] == "Bearer ***"
    assert request["body"]["header"]["operations"] == {"data": "merge"}
    assert "s3cret" not in ran.out
    assert "k3y" not in ran.out


def test_a_person_reads_the_same_as_text(cli: CommandLine) -> None:
    cli.add("shop", upsert_mode=False)
    ran = cli.run("explain", "-", "--integration", "shop", stdin=_event())
    lines = ran.out.splitlines()
    assert lines[0] == "outcome: deliver"
    assert lines[1].startswith("note: upsert_mode is false: a profile look-up would decide")
    assert "identity: {" in lines
    assert '  "_acme.news": true' in lines
    assert "reason" not in ran.out


@pytest.mark.parametrize(
    ("body", "config", "outcome", "reason"),
    [
        pytest.param(b"no json", {}, "dead", "invalid-json", id="no JSON"),
        pytest.param(b"", {}, "dead", "invalid-json", id="nothing"),
        pytest.param(b"[]", {}, "dead", "invalid-event", id="a list"),
        pytest.param(b'{"type": "x"}', {}, "dead", "unknown-type", id="unknown type"),
        pytest.param(_event(created_at="x"), {}, "dead", "invalid-event", id="bad time"),
        pytest.param(_event(**_user("crm-77")), {}, "dead", "no-identity", id="no e-mail"),
        pytest.param(_event(**_user("")), {}, "skip", "guest", id="guest"),
        pytest.param(_event(consents={}), {}, "skip", "nothing-mapped", id="nothing mapped"),
        pytest.param(_event(regulation="cpra"), {}, "skip", "regulation", id="regulation"),
        pytest.param(_event(organization_id="else"), {}, "skip", "no-integration", id="of others"),
        pytest.param(_event(), {"enabled": False}, "skip", "disabled", id="disabled"),
        pytest.param(
            b'{"type": "Event.deleted", "parameters": {"entity": {"id": "ev-1"}}}',
            {},
            "skip",
            "event-deleted",
            id="deletion of nobody's",
        ),
    ],
)
def test_what_is_not_delivered_has_a_reason(
    cli: CommandLine, body: bytes, config: dict[str, Any], outcome: str, reason: str
) -> None:
    path = str(cli.add("shop", **config))
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=body)
    assert ran.code == 0
    assert ran.document.keys() == KEYS
    assert (ran.document["outcome"], ran.document["reason"]) == (outcome, reason)
    assert ran.document["request"] is None
    text = cli.run("explain", "-", "--config", path, stdin=body).out
    assert text.startswith(f"outcome: {outcome}\nreason: {reason}\n")
    if outcome == "dead":
        assert "\ndetail: " in text


def test_the_event_may_be_a_file(cli: CommandLine, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_bytes(_event())
    path = str(cli.add("shop"))
    assert cli.run("explain", str(event), "--config", path).out.startswith("outcome: deliver")
    missing = cli.run("explain", str(tmp_path / "none.json"), "--config", path)
    assert missing.code == 1
    assert "No such file or directory" in missing.err
    assert "none.json" in missing.err


def test_what_has_no_end_is_no_event(cli: CommandLine) -> None:
    path = str(cli.add("shop"))
    ran = cli.run("explain", "/dev/zero", "--config", path)
    assert ran.code == 1
    assert "more than 16777216 bytes, which no event has" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param((), "--integration or --config", id="neither"),
        pytest.param(
            ("--integration", "shop", "--config", "x"), "--integration or --config", id="both"
        ),
        pytest.param(("--integration", "other"), "no integration has the id other", id="unknown"),
        pytest.param(("--config", "none.json"), "can't be read (FileNotFoundError)", id="no file"),
    ],
)
def test_wrong_usage_is_exit_code_two(
    cli: CommandLine, options: tuple[str, ...], said: str
) -> None:
    cli.add("shop")
    ran = cli.run("explain", "-", *options, stdin=_event())
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.mark.parametrize("how", ["--integration", "--config"])
def test_a_bad_integration_is_named_with_file_and_field(cli: CommandLine, how: str) -> None:
    path = cli.add("shop", upsert_mode="hush")
    given = "shop" if how == "--integration" else str(path)
    ran = cli.run("explain", "-", how, given, stdin=_event())
    assert ran.code == 2
    assert f"{path}: upsert_mode: " in ran.err
    assert "hush" not in ran.err


def test_a_bad_neighbour_is_no_matter_of_an_explanation(cli: CommandLine) -> None:
    cli.add("shop")
    cli.add("bad", events="all")
    ran = cli.run("explain", "-", "--integration", "shop", stdin=_event())
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("outcome: deliver")


def test_of_a_paused_integration_it_is_said_that_events_wait(cli: CommandLine) -> None:
    cli.add("shop", paused=True)
    ran = cli.run("explain", "-", "--integration", "shop", "--json", stdin=_event())
    assert ran.document["outcome"] == "deliver"
    assert ran.document["note"].startswith("the integration is paused")


def test_every_option_of_a_mapping_is_shown_with_what_it_makes(cli: CommandLine) -> None:
    news = "consents_purposes_news_enabled"
    path = cli.add(
        "shop",
        mappings=[
            {"id": "a", "value": news},
            {"id": "b", "value": news, "format": ["inverted", "y-n"], "time_path": "t"},
            {"id": "c", "value": "country", "pending": "p"},
            {"id": "d.<value>", "value": news, "format": "consent-val"},
            {"id": "e", "value": "metadata_tier"},
            {"id": "f", "constant": "didomi"},
        ],
    )
    user = {"organization_user_id": "lena@northwind.example", "metadata": {"tier": ["gold"]}}
    ran = cli.run("explain", "-", "--config", str(path), "--json", stdin=_event(user=user))
    at = "2026-03-02T08:15:30.120Z"
    assert ran.document["mappings"] == [
        {"id": "a", "value": news, "sent": True},
        {"id": "b", "value": news, "format": ["inverted", "y-n"], "time_path": "t", "sent": "n"}
        | {"time_sent": at, "is_refusal": False},
        {"id": "c", "value": "country", "pending": "p", "not_sent": "says nothing"},
        {"id": "d.<value>", "value": news, "format": "consent-val", "sent": {"val": "y"}},
        {
            "id": "e",
            "value": "metadata_tier",
            "not_sent": "the event holds a list, an object or a number beyond 64 bits there; "
            "see format",
        },
        {"id": "f", "constant": "didomi", "sent": "didomi"},
    ]
    assert ran.document["attributes"]["d.<value>"] == {"val": "y"}
    body = ran.document["request"]["body"]["body"]
    assert body["d"] == {"lena@northwind.example": {"val": "y"}}
    assert (ran.document["unusable"], body["t"]) == (["e"], at)


TOPICS = "consents_purposes_news_values_topics_value"
EMPTIED = {"purposes": [{"id": "news", "enabled": None, "values": {"topics": {"value": ""}}}]}


def test_an_emptied_preference_is_shown_with_and_without_empty(cli: CommandLine) -> None:
    silent = {"id": "a", "value": TOPICS}
    said = {"id": "b", "value": TOPICS, "empty": "none"}
    why = "nothing is selected any more, which is remembered; see empty"
    path = str(cli.add("shop", mappings=[silent, said]))
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=_event(consents=EMPTIED))
    assert ran.document["outcome"] == "deliver"
    assert (ran.document["attributes"], ran.document["emptied"]) == ({"b": "none"}, ["a"])
    assert ran.document["mappings"] == [
        silent | {"not_sent": why},
        said | {"sent": "none", "is_refusal": True},
    ]
    assert "a" not in ran.document["request"]["body"]["body"]
    source = {"id": "source", "constant": "didomi"}
    path = str(cli.add("shop", mappings=[silent, source], payload_mode="upsert"))
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=_event(consents=EMPTIED))
    assert (ran.document["outcome"], ran.document["reason"]) == ("skip", "emptied")
    assert ran.document["emptied"] == ["a"]
    assert ran.document["request"] is None


def _snapshot(**changes: Any) -> bytes:
    entity = event_document(organization_user_id="lena@northwind.example", version=4)
    entity |= {"updated_at": "2026-03-02T08:15:30.120Z", "id": "6D92078A-8246-4BA4"} | changes
    return json.dumps({"type": "user.updated", "parameters": {"new_entity": entity}}).encode()


@pytest.mark.parametrize(
    ("mode", "absent", "becomes"),
    [
        ("upsert", {"absent": False}, False),
        ("xdm", {"absent": False}, False),
        ("xdm", {}, "erased"),
    ],
)
def test_of_a_snapshot_it_is_said_what_becomes_of_what_it_does_not_name(
    cli: CommandLine, mode: str, absent: dict[str, Any], becomes: Any
) -> None:
    news = {"id": "_acme.news", "value": "consents_purposes_news_enabled"} | absent
    other = {"id": "b", "value": "consents_purposes_b_enabled"} | absent
    fact = {"id": "t", "value": "event_id"}
    path = str(cli.add("shop", mappings=[news, other, fact], events="user", payload_mode=mode))
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=_snapshot())
    assert ran.document["mappings"] == [
        news | {"sent": True},
        other | {"not_sent": "says nothing", "if_named_before": becomes},
        fact | {"not_sent": "says nothing"},
    ]
    assert ran.document["order"]["tie_break"] == "version 4"
    assert "6D92078A" not in ran.out
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=_snapshot(consents={}))
    assert ran.document["outcome"] == "deliver"
    assert ran.document["note"].startswith("a snapshot without a mapped choice takes back")


def test_metadata_that_is_not_named_any_more_stays(cli: CommandLine) -> None:
    news = {"id": "n", "value": "consents_purposes_news_enabled", "absent": False}
    tier = {"id": "t", "value": "metadata_tier"}
    path = str(cli.add("shop", mappings=[news, tier], events="user", payload_mode="upsert"))
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=_snapshot())
    assert ran.document["mappings"][1]["if_named_before"] == "not sent"


def test_it_is_shown_how_an_event_is_ordered(cli: CommandLine) -> None:
    path = str(cli.add("shop"))
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=_event())
    assert ran.document["order"] == {
        "event_time": "2026-03-02T08:15:30.120Z",
        "tie_break": "no updated_at, so any change of the event is newer",
    }


def test_auto_says_of_which_inlet_the_form_is(cli: CommandLine) -> None:
    cli.add("shop", payload_mode="auto")
    ran = cli.run("explain", "-", "--integration", "shop", "--json", stdin=_event())
    assert ran.document["note"].startswith("payload_mode is auto: this is the form that a raw")
    assert "operations" in ran.document["request"]["body"]["header"]


def test_a_completed_record_says_what_goes_along(cli: CommandLine, tmp_path: Path) -> None:
    cli.set("STATE_URL", f"sqlite://{tmp_path}/state.sqlite")
    cli.set("ORDERING_SECRET", "of-this-test")
    other = {"id": "_acme.other", "value": "consents_purposes_other_enabled"}
    news = {"id": "_acme.news", "value": "consents_purposes_news_enabled"}
    cli.add("shop", payload_mode="xdm", mappings=[news, other])
    ran = cli.run("explain", "-", "--integration", "shop", "--json", stdin=_event())
    assert ran.document["note"].endswith("mapped attributes goes along: _acme.other")
    assert "xdmEntity" in ran.document["request"]["body"]["body"]


@pytest.mark.parametrize("mode", ["xdm", "auto"])
def test_what_completion_would_add_is_said(cli: CommandLine, tmp_path: Path, mode: str) -> None:
    cli.set("STATE_URL", f"sqlite://{tmp_path}/state.sqlite")
    cli.set("ORDERING_SECRET", "of-this-test")
    mappings = [
        {"id": f"_acme.{one}", "value": f"consents_purposes_{one}_enabled"}
        for one in ("news", "offers", "sms")
    ]
    path = str(cli.add("shop", mappings=mappings, payload_mode=mode))
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=_event())
    note = ran.document["note"]
    assert "goes along: _acme.offers, _acme.sms" in note
    assert ("at an XDM-compatible inlet the message" in note) == (mode == "auto")
    path = str(cli.add("shop", mappings=mappings, payload_mode="upsert"))
    ran = cli.run("explain", "-", "--config", path, "--json", stdin=_event())
    assert ran.document["note"] is None


def test_a_body_above_the_limit_of_the_workers_is_a_dead_letter(cli: CommandLine) -> None:
    cli.add("shop")
    event = _event(more="x" * 1_048_576)
    ran = cli.run("explain", "-", "--integration", "shop", "--json", stdin=event)
    assert (ran.document["outcome"], ran.document["reason"]) == ("dead", "too-large")
    assert "1048576 bytes" in ran.document["detail"]
