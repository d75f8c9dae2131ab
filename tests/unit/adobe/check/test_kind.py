"""Of which kind an inlet is, asked of the emulator: told, not told, or no answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.adobe.check.conftest import Bench
from tests.unit.adobe.check.set_ups import set_up
from worker.adobe.check.customer_setup import SetUp
from worker.adobe.check.inlet_kind import Untold, ask_kind, kind_in
from worker.adobe.check.platform_reads import Found, NotFound, Refused, Unanswered

ENDPOINT = "https://dcs.adobedc.net/collection/1"


@pytest.mark.parametrize("data_type", ["raw", "xdm"])
@pytest.mark.parametrize("inherits", [True, False])
async def test_the_flow_tells_it(bench: Bench, data_type: str, *, inherits: bool) -> None:
    bench.put(set_up(data_type, flow={"inherits": inherits}))
    assert await ask_kind(bench.client, bench.integration(payload_mode="auto")) == data_type


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_credential_without_the_right_is_not_told(bench: Bench, status: int) -> None:
    bench.put(set_up("raw", refused={"view-sources": status}))
    answer = await ask_kind(bench.client, bench.integration(payload_mode="auto"))
    assert isinstance(answer, Untold)


async def test_a_token_that_adobe_does_not_take_any_more_is_worth_another_one(bench: Bench) -> None:
    bench.put(set_up("raw"))
    target = bench.integration(payload_mode="auto")
    await bench.client.token(target)
    bench.sandbox.state.tokens.clear()
    assert await ask_kind(bench.client, target) == "raw"


async def test_a_right_that_lacks_is_not_worth_another_token(bench: Bench) -> None:
    """Deliveries use it, too."""
    bench.put(set_up("raw", refused={"view-sources": 403}))
    target = bench.integration(payload_mode="auto")
    token = await bench.client.token(target)
    await ask_kind(bench.client, target)
    assert await bench.client.token(target) is token


async def test_an_inlet_of_another_flow_is_not_told(bench: Bench) -> None:
    bench.put(set_up("xdm", flow={"inlet": "another"}))
    answer = await ask_kind(bench.client, bench.integration(payload_mode="auto"))
    assert answer == Untold("the flow of dataflow_id has another endpoint than dataflow_endpoint")


async def test_a_refused_secret_is_not_told_and_not_waited_for(bench: Bench) -> None:
    bench.put(set_up("raw"))
    bench.sandbox.state.faults.inject(target="token", kind="status", status=401)
    answer = await ask_kind(bench.client, bench.integration(payload_mode="auto"))
    assert isinstance(answer, Untold)


async def test_a_token_that_is_not_to_be_had_is_no_answer(bench: Bench) -> None:
    bench.put(set_up("raw"))
    bench.sandbox.state.faults.inject(target="token", kind="status", status=503)
    answer = await ask_kind(bench.client, bench.integration(payload_mode="auto"))
    assert isinstance(answer, Unanswered)


def _connection(**params: Any) -> Found:
    return Found({"auth": {"params": params}})


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (SetUp(0, flow=Unanswered("HTTP 404: a gateway's", 404)), Untold),
        (SetUp(0, flow=Unanswered("HTTP 503", 503)), Unanswered),
        (SetUp(0, flow=NotFound("no such flow")), Untold),
        (SetUp(0, flow=Found({}), connection=Refused("403")), Untold),
        (SetUp(0, flow=Found({}), connection=Unanswered("not in time")), Unanswered),
        (SetUp(0, flow=Found({}), connection=_connection(dataType="xdm")), Untold),
        (SetUp(0, flow=Found({}), connection=_connection(inletUrl=ENDPOINT)), Untold),
    ],
)
def test_what_tells_nothing_of_this_inlet(bench: Bench, found: SetUp, told: type) -> None:
    properties = bench.integration().properties.model_copy(update={"dataflow_endpoint": ENDPOINT})
    target = bench.integration().model_copy(update={"properties": properties})
    assert isinstance(kind_in(target, found), told)
