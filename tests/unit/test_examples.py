"""What is shipped under examples/ is what the docs say: it loads, is sent, and ends as shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devtools.live_console import CUSTOMERS
from tests.unit.examples import NOW_MS
from worker.adobe.attempt import AdobeClient
from worker.adobe.check.check_integration import check_integration
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import open_session
from worker.adobe.replies import Accepted
from worker.adobe.streaming import OutgoingMessage
from worker.events import open_envelope
from worker.integrations.coherence import Surroundings
from worker.integrations.file_schema import integration_schema
from worker.integrations.loading import load_integration
from worker.integrations.model import Integration
from worker.integrations.secret_references import SecretSource
from worker.integrations.told_mode import in_mode
from worker.sandbox.app import Sandbox
from worker.sandbox.customer_organization import DataType
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver
from worker.transform.xdm_message import build_record, encode_message

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/integration.json"))
SECRETS = SecretSource({"ADOBE_CLIENT_ID": "client", "ADOBE_CLIENT_SECRET": "secret"})
LOCAL = EndpointPolicy(("127.0.0.1",), allow_insecure=True)


def example(name: str) -> Integration:
    return load_integration(
        EXAMPLES / name / "integration.json",
        SECRETS,
        EndpointPolicy(("dcs.adobedc.net",)).problem,
        Surroundings(has_lasting_state=True, has_secret=True),
    )


def test_there_are_the_three_that_the_docs_name() -> None:
    assert NAMES == ["adobe-consents", "iab-tcf", "own-booleans"]
    page = (EXAMPLES.parent / "docs" / "mappings.md").read_text()
    assert all(f"examples/{name}/" in page for name in NAMES)


def test_the_event_is_of_a_customer_of_the_console_to_look_at() -> None:
    envelope = open_envelope((EXAMPLES / "event.json").read_bytes())
    assert envelope.organization_id == CUSTOMERS["shop"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data_type", ["raw", "xdm"])
async def test_an_example_ends_with_the_profile_that_is_shown(
    name: str, data_type: DataType
) -> None:
    directory = EXAMPLES / name
    loaded = example(name)
    assert loaded.warnings == []
    assert loaded.payload_mode == "auto", "one file works on both kinds of inlet"
    target = in_mode(loaded, "upsert" if data_type == "raw" else "xdm")
    decision = decide(target, open_envelope((directory / "event.json").read_bytes()), NOW_MS)
    assert isinstance(decision, Deliver)
    assert (decision.unmatched, decision.unusable) == ((), ())
    async with Sandbox() as sandbox, open_session(LOCAL, 10) as session:
        sandbox.state.organization.put(json.loads((directory / "set-up.json").read_text()))
        (flow,) = sandbox.state.organization.dataflows.values()
        flow.data_type = data_type
        endpoint = {"dataflow_endpoint": f"{sandbox.url}/collection/{flow.inlet}"}
        local = target.model_copy(
            update={"properties": target.properties.model_copy(update=endpoint)}
        )
        client = AdobeClient(
            session, LOCAL, ims_url=f"{sandbox.url}/ims/token/v3", platform_url=sandbox.url
        )
        record = build_record(local, decision.attributes, decision.identity, decision.event_time_ms)
        replies = await client.send(local, [OutgoingMessage(encode_message(local, record), record)])
        assert isinstance(replies, list)
        (reply,) = replies
        assert isinstance(reply, Accepted)
        assert sandbox.state.failures == []
        (profile,) = sandbox.state.profiles.values()
    assert profile.record == json.loads((directory / "profile.json").read_text())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data_type", ["raw", "xdm"])
async def test_an_example_passes_the_check_of_its_set_up(name: str, data_type: DataType) -> None:
    async with Sandbox() as sandbox, open_session(LOCAL, 10) as session:
        organization = sandbox.state.organization
        organization.put(json.loads((EXAMPLES / name / "set-up.json").read_text()))
        (flow,) = organization.dataflows.values()
        flow.data_type = data_type
        flow.inlet_url = example(name).properties.dataflow_endpoint
        client = AdobeClient(
            session, LOCAL, ims_url=f"{sandbox.url}/ims/token/v3", platform_url=sandbox.url
        )
        lines = await check_integration(client, example(name))
    assert {"token", "flow", "inlet", "payload-mode", "mapping"} <= {one.check for one in lines}
    assert [one for one in lines if one.verdict != "ok"] == []


@pytest.mark.parametrize("name", [*NAMES, "integrations"])
def test_an_example_names_no_field_beyond_the_schema(name: str) -> None:
    for path in (EXAMPLES / name).glob("*.json"):
        if name == "integrations" or path.name == "integration.json":
            document = json.loads(path.read_text())
            assert document.keys() <= integration_schema()["properties"].keys()
