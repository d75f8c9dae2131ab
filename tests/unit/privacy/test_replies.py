"""What Adobe, or whoever stands in its place, quotes in replies."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, cast

import aiohttp
import orjson
import pytest
from aiohttp import web

from devtools.examples import integration_document
from tests.unit.adobe.server import serving
from tests.unit.examples import NOW_MS, event_document, integration
from tests.unit.privacy.conftest import EMAIL, MARKER, Observe
from worker.adobe.attempt import AdobeClient
from worker.adobe.check.check_integration import check_integration
from worker.adobe.check.report_lines import worst
from worker.adobe.check.test_record import send_probe
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import open_session
from worker.adobe.replies import Accepted, Permanent, Reply, Retryable
from worker.adobe.streaming import OutgoingMessage
from worker.broker.message import Incoming
from worker.broker.retry_state import RetryState
from worker.delivery.delivery import Delivery
from worker.delivery.outcome import Dead, Failure, Outcome, Retried
from worker.events import open_envelope
from worker.integrations.model import Integration
from worker.observability.metrics import Metrics
from worker.observability.outcome_log import OutcomeLog
from worker.reasons import DeadReason
from worker.transform.decide import decide
from worker.transform.decision_types import Deliver
from worker.transform.xdm_message import build_record, encode_message

POLICY = EndpointPolicy(("127.0.0.1",), allow_insecure=True)
OF_THE_PERSON = [
    pytest.param("client 4711-PLANTED was refused", id="customer number"),
    pytest.param("CLIENT 4711-planted WAS REFUSED", id="in another case"),
    pytest.param("'4711-PLANTED'", id="quoted"),
    pytest.param("x" * 990 + " 4711-PLANTED", id="where the text is cut off"),
    pytest.param("at ?entityId=4711-PLANTED&x", id="in a URL"),
]
OF_THE_RECORD = [
    pytest.param("of the tier PLANTED gold", id="mapped text"),
    pytest.param("of the tier PLANTED%20gold", id="mapped text in a URL"),
]
SECRET_OR_TELLING = [
    pytest.param("secret secret-PLANTED is wrong", id="secret"),
    pytest.param("secret second-PLANTED is wrong", id="second secret"),
    pytest.param("key key-PLANTED is wrong", id="API key"),
    pytest.param("of PLANTED@other.example", id="any e-mail address"),
    pytest.param("at ?id=PLANTED%40other.example", id="any e-mail address in a URL"),
    pytest.param("Bearer PLANTED", id="any bearer token"),
    pytest.param("eyJhbGciOiJQTEFOVEVE.PLANTED.PLANTED", id="any JWT"),
    pytest.param("id_PLANTED", id="after an underscore"),
    pytest.param("PLANTEDx", id="before a letter"),
    pytest.param("PL\\u0041NTED", id="escaped"),
    pytest.param("client-PLANTED", id="client id"),
    pytest.param("at ?hush=PLANTED", id="query of the endpoint"),
]
SHAPES: dict[str, Callable[[str], Any]] = {
    "title": lambda text: {"title": text},
    "report": lambda text: {"report": {"message": text, "cause": text}},
    "list": lambda text: [{"message": text}],
    "item": lambda text: {"responses": [{"statusCode": 400, "message": text}]},
    "error": lambda text: {"error": text, "error_description": text, "error_code": text},
    "elsewhere": lambda text: {text: {text: text}, "status": text, "instance": [text]},
    "text": lambda text: text,
}


def _outcome(reply: Reply) -> Outcome:
    assert isinstance(reply, (Retryable, Permanent))
    failure = Failure(reply.error, reply.detail, reply.http_status)
    return (
        Retried(1.0, failure) if isinstance(reply, Retryable) else Dead(DeadReason.POISON, failure)
    )


PATHS = {
    "token": "/token",
    "lookup": "/data/core",
    "collection": "/collection",
    "platform": "/data",
}


def _person() -> tuple[Integration, Any]:
    secrets = {"client_secret": "secret-PLANTED", "second_client_secret": "second-PLANTED"}
    properties = integration_document()["properties"] | {"user_identifier": ["personID"]}
    target = integration(
        authentication={"client_id": "client-PLANTED", "api_key": "key-PLANTED"} | secrets,
        properties=properties,
        identities={"personID": {"namespace": "CRM"}},
        mappings=[{"id": "_acme.tier", "value": "metadata_tier"}],
    )
    user = {"organization_user_id": "4711-PLANTED", "metadata": {"tier": "PLANTED gold"}}
    envelope = open_envelope(orjson.dumps(event_document(user=user)))
    decision = decide(target, envelope, NOW_MS)
    assert isinstance(decision, Deliver)
    return target, decision


def _quoting(where: str, shape: str, text: str) -> Any:
    """A server that quotes `text` in one of its three roles, and does its work in the others."""
    headers = {"Retry-After": MARKER, "X-Reason": MARKER, "WWW-Authenticate": f"Bearer {MARKER}"}

    async def answer(request: web.Request) -> web.Response:
        if not request.path.startswith(PATHS[where]):
            return web.json_response({"access_token": f"eyJ{MARKER}", "expires_in": 100})
        status = 207 if shape == "item" and where == "collection" else 400
        return web.Response(body=orjson.dumps(SHAPES[shape](text)), status=status, headers=headers)

    return answer


def _sent_to(target: Integration, url: str) -> Integration:
    properties = target.properties.model_copy(
        update={"dataflow_endpoint": f"{url}/collection?hush={MARKER}"}
    )
    return target.model_copy(update={"properties": properties})


def _client(session: aiohttp.ClientSession, url: str) -> AdobeClient:
    return AdobeClient(session, POLICY, ims_url=f"{url}/token", platform_url=url)


async def _replies(
    session: aiohttp.ClientSession, url: str, target: Integration, decision: Deliver, count: int = 1
) -> list[Reply]:
    """What becomes of `count` messages of one person, in one request."""
    client = _client(session, url)
    if target.needs_lookup:
        reply = await client.look_up(target, decision.identity)
        assert reply is not None
        return [reply]
    record = build_record(target, decision.attributes, decision.identity, decision.event_time_ms)
    message = OutgoingMessage(encode_message(target, record), record)
    replies = await client.send(target, [message] * count)
    return list(replies) if isinstance(replies, list) else [replies]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("where", "text"),
    [
        pytest.param(where, quote.values[0], id=f"{where}: {quote.id}")
        for where, quotes in (
            ("token", SECRET_OR_TELLING),
            ("lookup", OF_THE_PERSON + SECRET_OR_TELLING),
            ("collection", OF_THE_PERSON + OF_THE_RECORD + SECRET_OR_TELLING),
        )
        for quote in quotes
    ],
)
async def test_what_was_sent_and_is_quoted_in_a_reply_is_not_passed_on(
    observe: Observe, where: str, shape: str, text: str
) -> None:
    target, decision = _person()
    async with serving(_quoting(where, shape, text)) as url, open_session(POLICY, 2) as session:
        target = _sent_to(target, url).model_copy(update={"upsert_mode": where != "lookup"})
        (reply,) = await _replies(session, url, target, decision)
    assert isinstance(reply, (Retryable, Permanent))
    assert reply.http_status == 400
    assert MARKER.lower() not in observe("shop", _outcome(reply)).lower()


@pytest.mark.parametrize("quote", OF_THE_PERSON + OF_THE_RECORD + SECRET_OR_TELLING)
async def test_what_is_quoted_of_one_message_of_a_batch_is_not_passed_on(
    observe: Observe, quote: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/token":
            return web.json_response({"access_token": "t", "expires_in": 100})
        refusal = {"statusCode": 400, "message": quote, quote: {"x": quote}}
        return web.json_response({"responses": [{"xactionId": "1:2:3"}, refusal]}, status=207)

    target, decision = _person()
    async with serving(answer) as url, open_session(POLICY, 2) as session:
        replies = await _replies(session, url, _sent_to(target, url), decision, 2)
    assert [type(one) for one in replies] == [Accepted, Permanent]
    assert MARKER.lower() not in observe("shop", _outcome(replies[1])).lower()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", SECRET_OR_TELLING)
@pytest.mark.parametrize("where", ["token", "platform", "collection"])
async def test_a_check_does_not_pass_on_a_quoted_secret(where: str, shape: str, text: str) -> None:
    target, _ = _person()
    async with serving(_quoting(where, shape, text)) as url, open_session(POLICY, 2) as session:
        target, client = _sent_to(target, url), _client(session, url)
        if where == "collection":
            lines = [await send_probe(client, target, EMAIL)]
        else:
            lines = await check_integration(client, target)
    assert worst(lines) != "ok"
    assert MARKER.lower() not in repr(lines).lower()


async def test_a_check_shows_no_secret_that_is_an_id_in_adobes_place() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/token":
            return web.json_response({"access_token": "t", "expires_in": 100})
        said = "secret-PLANTED"
        item: dict[str, Any] = {
            "id": said,
            "state": said,
            "imsOrgId": said,
            "targetConnectionIds": [said],
        }
        item |= {"params": {"dataSetId": said}, "data": {"schema": {"id": said}}}
        item |= {"sourceConnectionIds": [said], "baseConnectionId": said}
        item |= {"auth": {"params": {"inletUrl": said, "dataType": "raw"}}}
        return web.json_response({"items": [item], "sandboxes": [{"name": said, "state": said}]})

    target, _ = _person()
    async with serving(answer) as url, open_session(POLICY, 2) as session:
        lines = await check_integration(_client(session, url), _sent_to(target, url))
    assert sum("***" in one.text for one in lines) > 3
    assert MARKER not in repr(lines)


@pytest.mark.parametrize("text", [EMAIL, f"Bearer {MARKER}"])
async def test_what_is_no_transaction_id_accepts_nothing_and_is_not_quoted(text: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/token":
            return web.json_response({"access_token": "t", "expires_in": 100})
        return web.json_response({"xactionId": f"17:1:{text}"})

    target, decision = _person()
    async with serving(answer) as url, open_session(POLICY, 2) as session:
        (reply,) = await _replies(session, url, _sent_to(target, url), decision)
    assert isinstance(reply, Retryable)
    assert MARKER not in reply.detail


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        (f"17:1:eyJhbGciOiJ.{MARKER}.{MARKER}", "null"),
        (f"1584479347507:2153:{MARKER}", "null"),
        ("1584479347507:2153:240", '"1584479347507:2153:240"'),
    ],
)
async def test_a_transaction_id_is_logged_and_nothing_else_as_one(
    written: io.StringIO, said: str, logged: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/token":
            return web.json_response({"access_token": "t", "expires_in": 100})
        return web.json_response({"xactionId": said})

    target, decision = _person()
    async with serving(answer) as url, open_session(POLICY, 2) as session:
        (reply,) = await _replies(session, url, _sent_to(target, url), decision)
    assert isinstance(reply, Accepted)
    delivery = Delivery(cast(Incoming, None), RetryState(), target, decision, "user")
    OutcomeLog(Metrics(), {"shop"}.__contains__).delivered("shop", [(delivery, reply)])
    assert f'"xaction_id":{logged}' in written.getvalue()
    assert MARKER not in written.getvalue()


async def test_a_connection_that_fails_tells_neither_address_nor_person(
    observe: Observe,
) -> None:
    target, decision = _person()
    target = _sent_to(target, f"http://127.0.0.1:1/{MARKER}")
    async with open_session(POLICY, 2) as session:
        for url in ("http://127.0.0.1:1", f"{MARKER}://x"):
            (reply,) = await _replies(session, url, target, decision)
            assert isinstance(reply, Retryable)
            assert MARKER not in observe("shop", _outcome(reply))
