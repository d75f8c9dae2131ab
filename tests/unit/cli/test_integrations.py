"""`integrations list | validate | check`, with the emulator in the place of Adobe."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import CommandLine
from worker.integrations.file_schema import integration_schema


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
    assert (ran.code, ran.out) == (0, "1 integration is valid\n")


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
    assert (ran.code, ran.out) == (0, "1 integration is valid\n")
    assert ran.err.startswith("consent-worker: shop: warning: regulations.2: is none of the ")
    assert "gdrp" not in ran.err


def test_a_preference_without_empty_is_a_warning(cli: CommandLine) -> None:
    topics = {"id": "_acme.topics", "value": "consents_purposes_news_values_topics_value"}
    cli.add("shop", mappings=[topics])
    ran = cli.run("integrations", "validate")
    assert ran.code == 0
    assert ran.err.startswith("consent-worker: shop: warning: mappings.1: has no empty: when ")


def test_the_schema_is_printed_for_editors(cli: CommandLine) -> None:
    ran = cli.run("integrations", "schema")
    assert ran.code == 0
    assert ran.document == integration_schema()


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
