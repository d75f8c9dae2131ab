"""`integrations list | validate | check`, with the emulator in the place of Adobe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.cli.conftest import CommandLine
from tests.unit.examples import integration_document
from worker.sandbox.app import Sandbox


def test_they_are_listed_by_id_without_secrets(cli: CommandLine) -> None:
    cli.add("shop")
    cli.add("press", enabled=False, upsert_mode=False)
    ran = cli.run("integrations", "list")
    assert ran.out.splitlines() == [
        "press  organization northwind  disabled",
        "shop  organization northwind  enabled",
    ]
    ran = cli.run("integrations", "list", "--json")
    assert ran.document[1] == {
        "id": "shop",
        "organization_id": "northwind",
        "enabled": True,
        "mappings": 1,
        "upsert_mode": True,
    }


def test_valid_ones_are_counted(cli: CommandLine) -> None:
    cli.add("shop")
    ran = cli.run("integrations", "validate")
    assert (ran.code, ran.out) == (0, "1 integrations are valid\n")


@pytest.mark.parametrize("command", ["list", "validate", "check"])
def test_every_bad_file_is_named_with_all_its_mistakes(cli: CommandLine, command: str) -> None:
    shop = cli.add("shop", upsert_mode="yes", events="all")
    press = cli.integrations / "press.json"
    press.write_text("{")
    ran = cli.run("integrations", command)
    assert (ran.code, ran.out) == (2, "")
    assert f"{shop}: upsert_mode: " in ran.err
    assert f"{shop}: events: " in ran.err
    assert f"{press}: is not JSON (line 1" in ran.err


def test_a_directory_that_is_not_there_is_named(cli: CommandLine) -> None:
    cli.set("INTEGRATIONS", cli.integrations / "none")
    ran = cli.run("integrations", "validate")
    assert ran.code == 2
    assert "none: is not a directory" in ran.err


@pytest.fixture
async def sandbox(cli: CommandLine) -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        cli.set("IMS_URL", f"{running.url}/ims/token/v3")
        cli.set("PLATFORM_URL", running.url)
        cli.set("ALLOWED_HOSTS", "127.0.0.1")
        cli.set("ALLOW_INSECURE", "true")
        for name in ("shop", "press"):
            endpoint = {"dataflow_endpoint": f"{running.url}/collection/{name}"}
            cli.add(name, properties=integration_document()["properties"] | endpoint)
        yield running


async def test_a_check_asks_adobe_and_stores_nothing(cli: CommandLine, sandbox: Sandbox) -> None:
    ran = await asyncio.to_thread(cli.run, "integrations", "check")
    assert ran.out.splitlines() == [
        "press  token: ok - obtained",
        "press  dataflow: ok - accepted the message",
        "shop  token: ok - obtained",
        "shop  dataflow: ok - accepted the message",
    ]
    assert ran.code == 0
    assert not sandbox.state.profiles
    sent = [one for one in sandbox.state.requests if one["inlet"]]
    assert all(one["query"] == {"syncValidation": "true"} for one in sent)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(
            {"target": "token", "kind": "refuse-token"},
            "shop  token: FAILED - HTTP 400: invalid_client",
            id="credential",
        ),
        pytest.param(
            {"target": "collection", "kind": "status", "status": 404},
            "shop  dataflow: FAILED - HTTP 404",
            id="dataflow",
        ),
    ],
)
async def test_a_check_that_fails_is_exit_code_one(
    cli: CommandLine, sandbox: Sandbox, fault: dict[str, Any], said: str
) -> None:
    sandbox.state.inject(**fault)
    ran = await asyncio.to_thread(cli.run, "integrations", "check", "shop")
    assert ran.code == 1
    assert said in ran.out
    assert "press" not in ran.out


async def test_a_check_goes_on_after_one_that_fails(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.state.inject(target="collection", key="press", kind="status", status=400)
    ran = await asyncio.to_thread(cli.run, "integrations", "check")
    assert ran.code == 1
    assert "press  dataflow: FAILED" in ran.out
    assert "shop  dataflow: ok" in ran.out


def test_a_check_of_what_is_not_configured_is_wrong_usage(cli: CommandLine) -> None:
    ran = cli.run("integrations", "check", "none")
    assert ran.code == 2
    assert "no integration has the id none" in ran.out
