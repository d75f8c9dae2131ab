"""The token endpoint answers as Adobe documents it."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.conftest import Caller


async def test_a_token_is_issued_with_its_life_in_seconds(caller: Caller) -> None:
    answer = await caller.token()
    assert answer.status == 200
    assert answer.body.keys() == {"access_token", "token_type", "expires_in"}
    assert (answer.body["token_type"], answer.body["expires_in"]) == ("bearer", 86399)
    assert (await caller.call("GET", "/admin/tokens")).body == {"issued": 2}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_secret": ""}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
async def test_a_faulty_request_is_refused(
    caller: Caller, change: dict[str, str], error: str
) -> None:
    answer = await caller.token(**change)
    assert (answer.status, answer.body["error"]) == (400, error)


async def test_two_registered_secrets_are_valid_at_once_and_no_other(caller: Caller) -> None:
    await caller.call("PUT", "/admin/credentials/c", json={"secrets": ["old", "new"]})
    statuses = [(await caller.token(client_secret=one)).status for one in ("old", "new", "s")]
    assert statuses == [200, 200, 400]
    refused = await caller.call("PUT", "/admin/credentials/c", json={"secrets": ["1", "2", "3"]})
    assert refused.status == 400


async def test_the_journal_holds_no_secret(caller: Caller) -> None:
    await caller.token(client_secret="hush")
    await caller.look_up()
    assert "hush" not in str(caller.state.requests)
    assert caller.bearer not in str(caller.state.requests)
