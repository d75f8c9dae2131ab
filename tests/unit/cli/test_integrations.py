"""`integrations list | validate | check`, with the emulator in the place of Adobe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.cli.conftest import CommandLine
from tests.unit.examples import integration_document
from worker.integrations.schema import integration_schema
from worker.sandbox.app import Sandbox


def test_they_are_listed_by_id_without_secrets(cli: CommandLine) -> None:
    cli.add("shop")
    cli.add("press", enabled=False, upsert_mode=False)
    cli.add("late", paused=True)
    ran = cli.run("integrations", "list")
    assert ran.out.splitlines() == [
        "late  organization northwind  paused",
        "press  organization northwind  disabled",
        "shop  organization northwind  enabled",
    ]
    ran = cli.run("integrations", "list", "--json")
    assert ran.document[2] == {
        "id": "shop",
        "organization_id": "northwind",
        "enabled": True,
        "paused": False,
        "mappings": 1,
        "upsert_mode": True,
    }


def test_valid_ones_are_counted(cli: CommandLine) -> None:
    cli.add("shop")
    ran = cli.run("integrations", "validate")
    assert (ran.code, ran.out) == (0, "1 integrations are valid\n")


@pytest.mark.parametrize(("command", "code"), [("list", 0), ("validate", 2), ("check", 2)])
def test_every_bad_file_is_named_with_all_its_mistakes(
    cli: CommandLine, command: str, code: int
) -> None:
    shop = cli.add("shop", upsert_mode="yes", events="all")
    press = cli.integrations / "press.json"
    press.write_text("{")
    ran = cli.run("integrations", command)
    assert (ran.code, ran.out) == (code, "")
    assert f"{shop}: upsert_mode: " in ran.err
    assert f"{shop}: events: " in ran.err
    assert f"{press}: is not JSON (line 1" in ran.err


def test_a_directory_that_is_not_there_is_named(cli: CommandLine) -> None:
    cli.set("INTEGRATIONS", cli.integrations / "none")
    ran = cli.run("integrations", "validate")
    assert ran.code == 2
    assert "none: is not a directory" in ran.err


def test_what_is_valid_and_perhaps_not_meant_is_a_warning(cli: CommandLine) -> None:
    cli.add("shop", regulations=["gdpr", "gdrp"])
    ran = cli.run("integrations", "validate")
    assert (ran.code, ran.out) == (0, "1 integrations are valid\n")
    assert ran.err.startswith("consent-worker: shop: warning: regulations.2: is none of the ")
    assert "gdrp" not in ran.err


def test_the_schema_is_printed_for_editors(cli: CommandLine) -> None:
    ran = cli.run("integrations", "schema")
    assert ran.code == 0
    assert ran.document == integration_schema()


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
    assert "no integration has the id none" in ran.err


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_list_is_of_the_good_ones_and_names_the_bad_ones_beside(
    cli: CommandLine, options: tuple[str, ...]
) -> None:
    cli.add("shop")
    bad = cli.add("bad", events="all")
    ran = cli.run("integrations", "list", *options)
    assert ran.code == 0
    assert "shop" in ran.out
    assert "bad" not in ran.out
    assert ran.err.startswith(f"consent-worker: {bad}: events: ")


def test_a_list_obeys_nothing_that_a_file_says_to_a_terminal(cli: CommandLine) -> None:
    cli.add("shop", organization_id="\x1b[2Jnorth\nwind")
    ran = cli.run("integrations", "list")
    assert ran.out == "shop  organization \\x1b[2Jnorth\\nwind  enabled\n"


async def test_a_check_of_one_is_no_matter_of_a_bad_neighbour(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    cli.add("bad", events="all")
    ran = await asyncio.to_thread(cli.run, "integrations", "check", "shop")
    assert (ran.code, ran.err) == (0, "")
    ran = await asyncio.to_thread(cli.run, "integrations", "check")
    assert ran.code == 2
    assert ran.out.count(": ok") == 4
    assert "bad.json: events: " in ran.err


def test_a_check_of_a_bad_one_names_its_mistakes_and_no_others(cli: CommandLine) -> None:
    cli.add("bad", events="all")
    cli.add("worse", upsert_mode="yes")
    ran = cli.run("integrations", "check", "bad")
    assert ran.code == 2
    assert "bad.json: events: " in ran.err
    assert "worse" not in ran.err


def test_a_file_that_tells_no_id_might_be_the_one_that_is_asked_for(cli: CommandLine) -> None:
    (cli.integrations / "half.json").write_text("{")
    ran = cli.run("integrations", "check", "shop")
    assert ran.code == 2
    assert "no integration has the id shop" in ran.err
    assert "half.json" in ran.err


@pytest.mark.parametrize("arguments", [("validate",), ("check", "shop")])
def test_a_key_that_is_there_twice_is_named(cli: CommandLine, arguments: tuple[str, ...]) -> None:
    path = cli.add("shop", paused=True)
    path.write_text(path.read_text().replace('"paused": true', '"paused": true, "paused": false'))
    ran = cli.run("integrations", *arguments)
    assert ran.code == 2
    assert "shop.json: paused: is there more than once" in ran.err
