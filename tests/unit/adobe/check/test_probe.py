"""A test record is validated at once where Adobe offers that, and written."""

from __future__ import annotations

import pytest

from tests.unit.adobe.check.conftest import Bench
from tests.unit.adobe.check.set_ups import schema, set_up
from worker.adobe.check.test_record import send_probe

LENA = "lena@northwind.example"
SYNC = {"syncValidation": "true"}
EUROPE = {"name": "prod", "state": "active", "region": "NLD2"}


def queries(bench: Bench) -> list[dict[str, str]]:
    return [one["query"] for one in bench.sandbox.state.requests if one["inlet"]]


@pytest.mark.parametrize(
    ("kind", "region", "asked"),
    [
        ("raw", "VA7", [{}]),
        ("xdm", "VA7", [SYNC]),
        ("xdm", "NLD2", [SYNC, {}]),
    ],
)
async def test_it_is_validated_where_that_is_offered(
    bench: Bench, kind: str, region: str, asked: list[dict[str, str]]
) -> None:
    bench.put(set_up(kind, sandboxes=[EUROPE | {"region": region}]))
    line = await send_probe(bench.client, bench.integration(kind), LENA)
    assert line.verdict == "ok", line
    assert queries(bench) == asked
    (profile,) = bench.sandbox.state.profiles.values()
    assert profile.record["_acme"] == {"news": False}


async def test_a_record_that_does_not_fit_is_wrong_at_once(bench: Bench) -> None:
    bench.put(set_up("xdm", schemas=[schema(required=["personID"])]))
    line = await send_probe(bench.client, bench.integration("xdm"), LENA)
    assert line.verdict == "wrong"
    assert not bench.sandbox.state.profiles


async def test_nothing_is_sent_to_a_host_that_is_not_allowed(bench: Bench) -> None:
    bench.put(set_up())
    endpoint = {"dataflow_endpoint": "https://evil.example/collection/shop"}
    line = await send_probe(bench.client, bench.integration(properties=endpoint), LENA)
    assert line.verdict == "wrong"
    assert line.text.startswith("not sent; dataflow_endpoint host evil.example is not on the ")
    assert queries(bench) == []
