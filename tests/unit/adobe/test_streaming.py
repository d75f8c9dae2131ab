"""The request of streaming ingestion, and how it is shown."""

from __future__ import annotations

import orjson
import pytest

from devtools.examples import integration_document
from tests.unit.examples import integration
from worker.adobe.streaming import build_request, masked_headers, shown_url, takes_batches


def test_the_request_names_flow_and_sandbox() -> None:
    target = integration(sandbox_name="stage")
    request = build_request(target, ['{"body":{"x":"ü"}}'.encode()])
    assert (request.method, request.url) == ("POST", "https://dcs.adobedc.net/collection/1")
    assert request.headers == {
        "Content-Type": "application/json",
        "Cache-Control": "no-cache",
        "x-adobe-flow-id": "flow",
        "x-sandbox-name": "stage",
    }
    assert orjson.loads(request.body) == {"body": {"x": "ü"}}


def test_an_authorization_is_shown_only_where_one_is_sent_and_only_masked() -> None:
    target = integration()
    request = build_request(target, [b"{}"])
    assert masked_headers(target, request) == request.headers | {"Authorization": "Bearer ***"}
    open_inlet = integration(authenticated=False)
    assert "Authorization" not in masked_headers(open_inlet, build_request(open_inlet, [b"{}"]))


def test_several_messages_go_to_the_batch_endpoint() -> None:
    request = build_request(integration(), [b'{"a":1}', b'{"b":2}'])
    assert request.url == "https://dcs.adobedc.net/collection/batch/1"
    assert orjson.loads(request.body) == {"messages": [{"a": 1}, {"b": 2}]}


@pytest.mark.parametrize(
    ("endpoint", "messages", "takes"),
    [
        pytest.param("https://dcs.adobedc.net/collection/1", 2, True, id="by default"),
        pytest.param("https://dcs.adobedc.net/collection/1", 1, False, id="by setting, one by one"),
        pytest.param("https://dcs.adobedc.net/other/1", 2, False, id="no known batch endpoint"),
    ],
)
def test_batches_are_for_endpoints_that_have_them(
    endpoint: str, messages: int, takes: bool
) -> None:
    properties = integration_document()["properties"] | {"dataflow_endpoint": endpoint}
    target = integration(properties=properties, limits={"messages_per_request": messages})
    assert takes_batches(target) is takes


@pytest.mark.parametrize("query", ["?key=hush", "?hush", "?a=1?hush&x#hush", "??hush\n", "#hush?x"])
def test_the_query_of_an_endpoint_is_not_shown(query: str) -> None:
    assert shown_url(f"https://h/collection/1{query}") == "https://h/collection/1?***"
    assert shown_url("https://h/collection/1") == "https://h/collection/1"
