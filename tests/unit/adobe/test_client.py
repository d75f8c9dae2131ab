"""One attempt at Adobe, against the emulator over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devtools.examples import integration_document
from devtools.waiting import wait_until
from tests.unit.examples import integration
from worker.adobe.access_tokens import TokenSource, TokenUnavailable
from worker.adobe.attempt import AdobeClient
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import open_session
from worker.adobe.replies import Accepted, NoProfile, Permanent, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.integrations.model import Integration
from worker.sandbox.app import Sandbox
from worker.sandbox.emulator_state import Profile
from worker.transform.decision_types import Identity
from worker.transform.xdm_message import build_record, encode_message

IDENTITY = Identity("email", "lena@b.example", "personalEmail.address", "Email", False)


def message(target: Integration, attributes: dict[str, Any] | None = None) -> OutgoingMessage:
    record = build_record(target, attributes or {"_acme.news": True}, IDENTITY, 1)
    return OutgoingMessage(encode_message(target, record), record)


class Bench:
    """A client, the emulator it talks to, and an integration between them."""

    def __init__(self, sandbox: Sandbox, client: AdobeClient, session: Any) -> None:
        self.sandbox = sandbox
        self.client = client
        self.session = session

    def integration(self, **changes: Any) -> Integration:
        properties = integration_document()["properties"] | {
            "dataflow_endpoint": f"{self.sandbox.url}/collection/inlet"
        }
        return integration(properties=properties, **changes)

    async def deliver(self, **changes: Any) -> Any:
        """One message on its way: looked up first, where the integration wants that."""
        target = self.integration(**changes)
        if target.needs_lookup:
            reply = await self.client.look_up(target, IDENTITY)
            if reply is not None:
                return reply
        replies = await self.client.send(target, [message(target)])
        return replies[0] if isinstance(replies, list) else replies

    def fault(self, **description: Any) -> None:
        self.sandbox.state.faults.inject(**({"target": "collection"} | description))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    policy = EndpointPolicy(("127.0.0.1",), True)
    async with Sandbox() as sandbox, open_session(policy, 2.0) as session:
        client = AdobeClient(
            session, policy, ims_url=f"{sandbox.url}/ims/token/v3", platform_url=sandbox.url
        )
        yield Bench(sandbox, client, session)


async def test_a_delivery_is_accepted_and_stored(bench: Bench) -> None:
    reply = await bench.deliver()
    assert isinstance(reply, Accepted)
    assert reply.xaction_id
    assert bench.sandbox.state.find("lena@b.example") is not None


async def test_several_messages_go_in_one_request_and_each_has_its_reply(bench: Bench) -> None:
    target = bench.integration()
    replies = await bench.client.send(target, [message(target)] * 3)
    assert isinstance(replies, list)
    assert [type(one) for one in replies] == [Accepted] * 3
    (sent,) = [one for one in bench.sandbox.state.requests if "collection" in one["path"]]
    assert sent["path"] == "/collection/batch/inlet"


async def test_fifty_parallel_refusals_cause_one_refresh(bench: Bench) -> None:
    await bench.deliver()
    bench.sandbox.state.tokens.clear()
    replies = await asyncio.gather(*(bench.deliver() for _ in range(50)))
    assert all(isinstance(reply, Accepted) for reply in replies)
    assert bench.sandbox.state.tokens_issued == 2


async def test_a_fresh_token_that_is_refused_is_a_retryable_error(bench: Bench) -> None:
    bench.fault(kind="refuse-token")
    reply = await bench.deliver()
    assert isinstance(reply, Retryable)
    assert (reply.error, reply.http_status) == ("adobe-refused", 403)
    for _ in range(20):
        await bench.deliver()
    assert bench.sandbox.state.tokens_issued <= 3, "the brake holds"


async def test_a_token_that_the_look_up_refuses_is_no_missing_licence(bench: Bench) -> None:
    bench.fault(target="lookup", kind="refuse-token")
    reply = await bench.deliver(upsert_mode=False)
    assert isinstance(reply, Retryable)
    assert (reply.error, reply.http_status) == ("adobe-refused", 401)


async def test_the_second_secret_serves_when_the_first_is_refused(bench: Bench) -> None:
    bench.sandbox.state.credentials["c"] = ["new"]
    authentication = {
        "client_id": "c",
        "client_secret": "old",
        "second_client_secret": "new",
        "api_key": "k",
    }
    assert isinstance(await bench.deliver(authentication=authentication), Accepted)


async def test_a_refused_credential_is_retryable_and_asked_for_once(bench: Bench) -> None:
    bench.fault(target="token", kind="refuse-token")
    first = await bench.deliver()
    assert isinstance(first, Retryable)
    assert first.error == "token-refused"
    await asyncio.gather(*(bench.deliver() for _ in range(20)))
    asked = [one for one in bench.sandbox.state.requests if one["path"].startswith("/ims")]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "reset"}, "connection-failed"),
        ({"kind": "hang"}, "timeout"),
        ({"kind": "status", "status": 503, "retry_after": "5"}, "adobe-unavailable"),
        ({"kind": "status", "status": 302}, "adobe-redirected"),
        ({"kind": "status", "status": 200, "body": "x" * 200_000}, "adobe-unreadable"),
        ({"target": "token", "kind": "reset"}, "token-unavailable"),
        (
            {"target": "token", "kind": "status", "status": 200, "body": {"x": 1}},
            "token-unavailable",
        ),
    ],
)
async def test_what_is_not_the_messages_fault_is_retryable(
    bench: Bench, fault: dict[str, Any], error: str
) -> None:
    bench.fault(**fault)
    reply = await bench.deliver()
    assert isinstance(reply, Retryable)
    assert reply.error == error


@pytest.mark.parametrize("form", ["404", "empty-object", "empty-entity"])
async def test_without_a_profile_nothing_is_sent(bench: Bench, form: str) -> None:
    bench.sandbox.state.not_found = form
    assert isinstance(await bench.deliver(upsert_mode=False), NoProfile)
    assert isinstance(await bench.deliver(upsert_mode=False), NoProfile)
    paths = [one["path"] for one in bench.sandbox.state.requests]
    assert paths.count("/data/core/ups/access/entities") == 1, "the answer is remembered"
    assert "/collection/inlet" not in paths


async def test_with_a_profile_it_is_updated(bench: Bench) -> None:
    record = {"personalEmail": {"address": "lena@b.example"}}
    bench.sandbox.state.profiles[("other", "lena@b.example")] = Profile(
        "other", "lena@b.example", record
    )
    assert isinstance(await bench.deliver(upsert_mode=False), Accepted)


async def test_a_contact_is_found_whatever_its_identity_is_called_before_the_mapping_set(
    bench: Bench,
) -> None:
    identity = IDENTITY._replace(path="mail")
    target = bench.integration(identities={"email": {"path": "mail"}}, upsert_mode=False)
    bench.sandbox.state.apply("d", identity.value, {"_acme": {"customerId": "x"}}, "create")
    assert await bench.client.look_up(target, identity) is None


async def test_a_refused_look_up_never_creates(bench: Bench) -> None:
    bench.fault(target="lookup", kind="status", status=403)
    reply = await bench.deliver(upsert_mode=False)
    assert isinstance(reply, Retryable)
    assert reply.error == "lookup-refused"
    assert bench.sandbox.state.find("lena@b.example") is None


async def test_a_host_off_the_list_is_not_called(bench: Bench) -> None:
    client = AdobeClient(bench.session, EndpointPolicy(()), ims_url="x", platform_url="x")
    target = bench.integration()
    reply = await client.send(target, [message(target)])
    assert isinstance(reply, Retryable)
    assert reply.error == "endpoint-not-allowed"


async def test_a_record_too_large_for_adobe_is_permanent(bench: Bench) -> None:
    target = bench.integration()
    reply = await bench.client.send(target, [message(target, {"x": "y" * 1_100_000})])
    assert isinstance(reply, Permanent)


async def test_an_inlet_without_authentication_gets_no_token(bench: Bench) -> None:
    bench.sandbox.state.inlets["inlet"] = {"authenticated": False}
    assert isinstance(await bench.deliver(authenticated=False), Accepted)
    assert bench.sandbox.state.tokens_issued == 0
    (entry,) = bench.sandbox.state.requests
    assert "Authorization" not in entry["headers"]


async def test_what_is_configured_for_adobe_goes_along(bench: Bench) -> None:
    await bench.deliver(upsert_mode=False, sandbox_name="stage", merge_policy_id="policy")
    look_up = bench.sandbox.state.requests[-1]
    assert look_up["headers"]["x-sandbox-name"] == "stage"
    assert look_up["query"]["mergePolicyId"] == "policy"
    assert look_up["query"]["fields"] == "identityMap"
    await bench.deliver(sandbox_name="stage")
    sent = bench.sandbox.state.requests[-1]
    assert sent["headers"]["x-sandbox-name"] == "stage"
    assert sent["headers"]["x-adobe-flow-id"] == "flow"


async def test_a_token_that_is_refused_at_the_look_up_is_renewed_at_once(bench: Bench) -> None:
    await bench.deliver()
    bench.sandbox.state.tokens.clear()
    assert isinstance(await bench.deliver(upsert_mode=False), Accepted)
    assert bench.sandbox.state.tokens_issued == 2


async def test_a_token_is_refreshed_ahead_of_its_end_with_the_old_one_in_use(bench: Bench) -> None:
    now = 0.0
    bench.sandbox.state.token_lifetime_seconds = 1000
    source = TokenSource(
        bench.session,
        f"{bench.sandbox.url}/ims/token/v3",
        bench.integration().authentication,
        lambda: now,
    )
    first = await source.token()
    now = 750.0
    assert await source.token() is first

    async def is_renewed() -> bool:
        return await source.token() is not first

    await wait_until(is_renewed, "a new token")
    bench.fault(target="token", kind="status", status=500)
    now = 5000.0
    with pytest.raises(TokenUnavailable):
        await source.token()
