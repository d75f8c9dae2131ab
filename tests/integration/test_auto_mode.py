"""`payload_mode: "auto"` against both kinds of inlet, with and without the right to ask for it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devtools.stack import Stack, event
from devtools.waiting import wait_until

ORG, SCHEMA = "ABC@AdobeOrg", "https://ns.adobe.com/acme/schemas/1"
LENA, EMIL = "lena@northwind.example", "emil@northwind.example"


@pytest.fixture
async def stack(broker_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Stack]:
    """Without a secret no record of single choices can be completed."""
    url = f"sqlite://{tmp_path}/state.sqlite"
    settings: dict[str, Any] = {"STATE_URL": url, "BLOCK_PROBE_SECONDS": 1, "LOG_LEVEL": "debug"}
    settings["ORDERING_SECRET"] = ""
    async with Stack(broker_url, namespace, **settings) as running:
        yield running


def put_flow(stack: Stack, data_type: str, name: str = "shop", **changes: Any) -> None:
    """The customer's set-up at Adobe, of one kind or the other."""
    paths = ("personalEmail.address", "_acme.newsletter")
    mappings = [{"source": one, "destination": one} for one in paths]
    of_flow = {
        "id": f"flow-{name}",
        "inlet": name,
        "data_type": data_type,
        "ims_org_id": ORG,
        "dataset_id": f"dataset-{name}",
        "schema_id": SCHEMA,
        "mappings": mappings if data_type == "raw" else [],
    }
    enabled = {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}
    stack.sandbox.state.organization.put(
        {
            "dataflows": [of_flow | changes],
            "datasets": {f"dataset-{name}": {"schemaRef": {"id": SCHEMA}, "tags": enabled}},
            "schemas": [
                {
                    "$id": SCHEMA,
                    "type": "object",
                    "meta:immutableTags": ["union"],
                    "properties": {
                        "_acme": {
                            "type": "object",
                            "properties": {"newsletter": {"type": "boolean"}},
                        },
                        "personalEmail": {
                            "type": "object",
                            "properties": {"address": {"type": "string"}},
                        },
                    },
                }
            ],
        }
    )
    descriptor = {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": SCHEMA,
        "xdm:sourceProperty": "/personalEmail/address",
        "xdm:isPrimary": True,
    }
    stack.sandbox.state.organization.put({"descriptors": [descriptor]})


def refuse(stack: Stack, status: int | None) -> None:
    refused = {} if status is None else {"view-sources": status}
    stack.sandbox.state.organization.put({"refused": refused})


def choice(user: str = LENA, name: str = "", *, enabled: bool = True) -> bytes:
    return json.dumps(event("org-shop", user, event_id=name, enabled=enabled)).encode()


def snapshot(user: str = LENA, *, enabled: bool = True) -> bytes:
    """What Didomi makes known of a user as a whole."""
    made = event("org-shop", user)
    return json.dumps(
        {
            "type": "user.updated",
            "parameters": {
                "new_entity": {
                    "id": made["user"]["id"],
                    "organization_id": "org-shop",
                    "organization_user_id": user,
                    "created_at": made["created_at"],
                    "updated_at": made["created_at"],
                    "consents": {"purposes": [{"id": "newsletter", "enabled": enabled}]},
                }
            },
        }
    ).encode()


def told(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [one for one in stack.log_entries() if one["event"] == name]


def parked_for_the_inlet(stack: Stack) -> int:
    return sum(one["reason"] == "unknown-inlet" for one in told(stack, "delivery.parked"))


def forms(stack: Stack, inlet: str = "shop") -> list[str]:
    """The form of each message that came to the inlet."""
    return [
        "xdm" if "xdmEntity" in message["body"] else "upsert"
        for _, message in stack.messages(inlet)
    ]


def has(stack: Stack, user: str = LENA) -> bool:
    return stack.sandbox.state.find(user) is not None


async def start(stack: Stack) -> None:
    before = len(told(stack, "broker.connected"))
    stack.start_worker()
    await wait_until(lambda: len(told(stack, "broker.connected")) > before, "a worker", 60)


async def test_a_raw_inlet_is_found_and_gets_upserts(stack: Stack) -> None:
    put_flow(stack, "raw")
    stack.add_integration("shop", payload_mode="auto")
    await start(stack)
    await stack.publish([choice()])
    await wait_until(lambda: has(stack), "the profile")
    assert forms(stack) == ["upsert"]
    assert [(one["mode"], one["by"]) for one in told(stack, "inlet.known")] == [("upsert", "flow")]
    assert stack.sandbox.state.failures == []


async def test_an_xdm_inlet_is_found_and_gets_whole_snapshots(stack: Stack) -> None:
    put_flow(stack, "xdm")
    stack.add_integration("shop", payload_mode="auto", events="user")
    await start(stack)
    await stack.publish([snapshot()])
    await wait_until(lambda: has(stack), "the profile")
    assert forms(stack) == ["xdm"]
    assert stack.sandbox.state.failures == []


async def test_an_answer_is_kept_over_a_restart_until_the_dataflow_is_another(stack: Stack) -> None:
    put_flow(stack, "raw")
    stack.add_integration("shop", payload_mode="auto")
    await start(stack)
    await stack.publish([choice(LENA)])
    await wait_until(lambda: has(stack, LENA), "the first profile")
    stack.workers[-1].send_signal(signal.SIGKILL)
    await asyncio.to_thread(stack.workers[-1].wait)

    refuse(stack, 403)  # nobody could be asked now
    await start(stack)
    parked = parked_for_the_inlet(
        stack
    )  # the killed one may leave its event leased: that is `busy`
    await stack.publish([choice(EMIL)])
    await wait_until(lambda: has(stack, EMIL), "the profile after the restart")
    assert parked_for_the_inlet(stack) == parked, "nothing waits for what is known"
    assert told(stack, "inlet.untold") == []

    refuse(stack, None)
    put_flow(stack, "xdm", "other")
    properties = {
        "dataflow_endpoint": f"{stack.sandbox.url}/collection/other",
        "dataflow_id": "flow-other",
        "dataset_id": "dataset-other",
    }
    stack.add_integration("shop", payload_mode="auto", properties=properties)
    await wait_until(lambda: told(stack, "integrations.reloaded") != [], "the changed file")
    await stack.publish([choice(LENA, "e9", enabled=False)])
    await wait_until(lambda: told(stack, "integration.blocked") != [], "the block")
    (blocked,) = told(stack, "integration.blocked")
    assert blocked["error"] == "inlet-mismatch"
    assert "the inlet is XDM-compatible" in blocked["detail"]
    assert "erase the others" in blocked["detail"]
    assert stack.messages("other") == [], "nothing is sent in a form that does not fit"

    stack.add_integration("shop", payload_mode="auto")
    await wait_until(lambda: len(told(stack, "integrations.reloaded")) == 2, "the file as it was")
    await stack.publish([choice(EMIL, enabled=False)])
    await wait_until(lambda: _news(stack) is False, "what was blocked", 60)


def _news(stack: Stack, user: str = LENA) -> Any:
    profile = stack.sandbox.state.find(user)
    return profile and profile.record["_acme"]["newsletter"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_without_the_right_a_raw_inlet_is_learned_from_what_it_accepts(
    stack: Stack, status: int
) -> None:
    put_flow(stack, "raw")
    refuse(stack, status)
    stack.add_integration("shop", payload_mode="auto")
    await start(stack)
    await stack.publish([choice()])
    await wait_until(lambda: told(stack, "inlet.known") != [], "what was learned")
    assert has(stack)
    assert forms(stack) == ["upsert"]
    assert [(one["mode"], one["by"]) for one in told(stack, "inlet.known")] == [
        ("upsert", "answers")
    ]
    assert len(told(stack, "inlet.untold")) == 1


async def test_without_the_right_a_refused_snapshot_is_tried_whole_and_no_other_event(
    stack: Stack,
) -> None:
    put_flow(stack, "xdm")
    refuse(stack, 403)
    stack.add_integration("shop", payload_mode="auto", events="user")
    await start(stack)
    users = [f"u{number}@northwind.example" for number in range(5)]
    await stack.publish([snapshot(one) for one in users])
    await wait_until(lambda: stack.delivered("shop") == set(users), "all profiles", 60)
    sent = forms(stack)
    first = sent.index("xdm")
    assert set(sent[:first]) == {"upsert"}
    assert set(sent[first:]) == {"xdm"}
    alone = [one for one in stack.sandbox.state.requests if one["inlet"] == "shop"]
    tried = next(one for one in alone if "xdmEntity" in json.dumps(one["body"]))
    assert "messages" not in tried["body"], "one alone is tried in the other form"
    assert told(stack, "inlet.known")[0]["mode"] == "xdm"
    assert stack.sandbox.state.failures == []
    assert await stack.depth("dead-letters") == 0


async def test_without_the_right_single_choices_are_never_sent_whole(stack: Stack) -> None:
    put_flow(stack, "xdm")
    refuse(stack, 403)
    stack.add_integration("shop", payload_mode="auto")
    await start(stack)
    await stack.publish([choice()])
    await wait_until(lambda: told(stack, "integration.blocked") != [], "the block")
    (blocked,) = told(stack, "integration.blocked")
    assert blocked["error"] == "inlet-mismatch"
    assert "Grant the credential View Sources" in blocked["detail"]
    assert set(forms(stack)) == {"upsert"}

    flow = stack.sandbox.state.organization.dataflows["flow-shop"]
    flow.data_type = "raw"  # the customer makes it so
    flow.mappings = [
        {"source": one, "destination": one} for one in ("personalEmail.address", "_acme.newsletter")
    ]
    await wait_until(lambda: has(stack), "the delivery after it was mended", 60)
    assert await stack.depth("dead-letters") == 0


async def test_a_flow_with_another_endpoint_tells_nothing(stack: Stack) -> None:
    """Its kind would be that of an inlet to which nothing is sent."""
    put_flow(stack, "raw")
    put_flow(stack, "xdm", "elsewhere")
    stack.add_integration(
        "shop", payload_mode="auto", events="user", properties={"dataflow_id": "flow-elsewhere"}
    )
    await start(stack)
    await stack.publish([snapshot()])
    await wait_until(lambda: told(stack, "inlet.untold") != [], "that it is not known")
    assert "another endpoint" in told(stack, "inlet.untold")[0]["detail"]
    await wait_until(lambda: told(stack, "integration.blocked") != [], "the block")
    assert not has(stack), "no envelope was taken and dropped"
    assert "refuses both forms" in told(stack, "integration.blocked")[0]["detail"]


async def test_what_a_restart_does_to_several_devices_is_told_where_the_state_is_in_memory(
    broker_url: str, namespace: str
) -> None:
    async with Stack(broker_url, namespace, LOG_LEVEL="debug") as stack:
        put_flow(stack, "xdm")
        stack.add_integration("shop", payload_mode="auto", events="user")
        await start(stack)
        _, before = await stack.get("/readyz")
        assert "several devices" not in before, "nobody knows yet which kind it is"
        await stack.publish([snapshot()])
        await wait_until(lambda: has(stack), "the profile")
        _, after = await stack.get("/readyz")
        assert "integration shop: with the state in memory, several devices" in after


async def test_a_raw_inlet_that_becomes_xdm_compatible_loses_nothing(stack: Stack) -> None:
    put_flow(stack, "raw")
    absent = [
        {
            "id": "_acme.newsletter",
            "value": "consents_purposes_newsletter_enabled",
            "absent": False,
        }
    ]
    stack.add_integration("shop", payload_mode="auto", events="user", mappings=absent)
    await start(stack)
    await stack.publish([snapshot()])
    await wait_until(lambda: has(stack), "the profile")
    put_flow(stack, "xdm")
    users = [f"u{number}@northwind.example" for number in range(5)]
    await stack.publish([snapshot(one) for one in users])
    await wait_until(lambda: stack.delivered("shop") >= set(users), "all profiles", 60)
    assert told(stack, "inlet.known")[-1]["mode"] == "xdm"
    assert await stack.depth("dead-letters") == 0
