"""`integrations check`, with the emulator in the place of Adobe."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.examples import integration_document
from tests.unit.adobe.check.set_ups import flow, set_up
from tests.unit.cli.conftest import CommandLine
from worker.adobe.check.background_checks import AT_ONCE
from worker.sandbox.app import Sandbox
from worker.sandbox.customer_organization import DataType, Organization

ROOT = Path(__file__).parents[3]
NAMES = ("press", "shop")


@pytest.fixture
def sandbox(cli: CommandLine) -> Iterator[Sandbox]:
    """With a right set-up for each of the two integrations; in a thread, since a command needs the
    main one for its signals.
    """
    running = Sandbox()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(running.start(), loop).result()
    cli.set("IMS_URL", f"{running.url}/ims/token/v3")
    cli.set("PLATFORM_URL", running.url)
    cli.set("ALLOWED_HOSTS", "127.0.0.1")
    cli.set("ALLOW_INSECURE", "true")
    for name in NAMES:
        add(cli, running, name)
    flows = [flow(id=f"flow-{name}", inlet=name) for name in NAMES]
    running.state.organization.put(set_up(dataflows=flows))
    yield running
    asyncio.run_coroutine_threadsafe(running.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def add(cli: CommandLine, sandbox: Sandbox, name: str, **changes: Any) -> None:
    endpoint = {
        "dataflow_endpoint": f"{sandbox.url}/collection/{name}",
        "dataflow_id": f"flow-{name}",
    }
    cli.add(name, properties=integration_document()["properties"] | endpoint, **changes)


def written(sandbox: Sandbox) -> list[Any]:
    """All that was sent to an inlet."""
    return [one for one in sandbox.state.requests if one["inlet"]]


def test_each_integration_has_its_lines_in_order_and_nothing_is_written(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    ran = cli.run("integrations", "check")
    *lines, last = ran.out.splitlines()
    assert ran.code == 0, ran.out
    assert lines[0] == "press  token: ok - obtained"
    assert "shop  flow: ok - flow-shop exists and is enabled" in lines
    assert [one.split()[0] for one in lines] == sorted(one.split()[0] for one in lines)
    assert last == f"2 integrations: {len(lines)} ok, 0 wrong, 0 can't be judged"
    assert written(sandbox) == []
    assert ran.err == ""


def test_json_has_everything(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.state.organization.dataflows["flow-shop"].state = "disabled"
    ran = cli.run("integrations", "check", "--json")
    assert ran.code == 1
    assert [(one["id"], one["verdict"]) for one in ran.document] == [
        ("press", "ok"),
        ("shop", "wrong"),
    ]
    (line,) = [one for one in ran.document[1]["lines"] if one["check"] == "flow"]
    text = "flow-shop is disabled; enable the dataflow at Adobe"
    assert line == {"check": "flow", "of": "", "verdict": "wrong", "text": text}


@pytest.mark.parametrize(
    ("refused", "state", "bad_file", "code"),
    [
        ({}, "enabled", False, 0),
        ({}, "disabled", False, 1),
        ({"view-schemas": 403}, "enabled", False, 4),
        ({"view-schemas": 403}, "disabled", False, 1),
        ({}, "enabled", True, 2),
        ({}, "disabled", True, 1),
        ({"view-schemas": 403}, "enabled", True, 2),
    ],
)
def test_exit_codes(
    cli: CommandLine,
    sandbox: Sandbox,
    refused: dict[str, int],
    state: str,
    bad_file: bool,
    code: int,
) -> None:
    sandbox.state.organization.refused = refused
    sandbox.state.organization.dataflows["flow-press"].state = state
    if bad_file:
        cli.add("bad", events="all")
    ran = cli.run("integrations", "check")
    assert ran.code == code
    assert ("bad.json: events: " in ran.err) == bad_file
    assert "shop  flow: ok" in ran.out, "goes on after one that fails"
    assert ("can't be judged - " in ran.out) == bool(refused)


def test_a_check_of_one_is_no_matter_of_a_bad_neighbour(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.add("bad", events="all")
    ran = cli.run("integrations", "check", "shop")
    assert (ran.code, ran.err) == (0, "")
    assert "press" not in ran.out


def test_the_endpoint_needs_no_place_on_the_list_to_be_judged(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    """Nothing is sent there; what is asked is the platform of the operator's settings."""
    cli.set("ALLOWED_HOSTS", "127.0.0.1,other.example")
    sandbox.state.organization.dataflows["flow-shop"].inlet_url = "https://other.example/c/1"
    ran = cli.run("integrations", "check", "shop")
    assert ran.code == 1
    assert "set properties.dataflow_endpoint" in ran.out


def test_so_many_are_checked_at_the_same_time_and_no_more(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    names = [f"many-{number}" for number in range(AT_ONCE + 2)]
    flows = [flow(id=f"flow-{name}", inlet=name) for name in names]
    sandbox.state.organization.put({"dataflows": flows})
    for name in names:
        add(cli, sandbox, name)
    sandbox.state.inject(target="platform", kind="latency", latency_ms=20)
    ran = cli.run("integrations", "check")
    assert ran.code == 0, ran.out
    assert max(sandbox.state.most_under_way.values()) == AT_ONCE


def test_a_test_record_is_sent_for_who_is_named_on_standard_input(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    arguments = ("integrations", "check", "shop", "--send-test")
    ran = cli.run(*arguments, stdin=b"test@northwind.example\n")
    assert ran.code == 0, ran.out
    assert re.search(r"^shop  test-record: ok - accepted \(transaction [0-9:]+\)", ran.out, re.M)
    assert "northwind.example" not in ran.out
    (sent,) = written(sandbox)
    assert sent["body"]["body"] == {
        "_acme": {"news": False},
        "personalEmail": {"address": "test@northwind.example"},
    }
    assert sandbox.state.profiles[("dataset", "test@northwind.example")].record["_acme"] == {
        "news": False
    }


@pytest.mark.parametrize(
    ("stdin", "said", "code"),
    [(b"", "needs an identity", 2), (b"crm-4711\n", "not sent: the identity is no email", 1)],
)
def test_no_test_record_without_an_identity(
    cli: CommandLine, sandbox: Sandbox, stdin: bytes, said: str, code: int
) -> None:
    ran = cli.run("integrations", "check", "shop", "--send-test", stdin=stdin)
    assert ran.code == code
    assert said in ran.out + ran.err
    assert written(sandbox) == []


def test_no_test_record_where_something_is_wrong(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.state.organization.dataflows["flow-shop"].state = "disabled"
    arguments = ("integrations", "check", "shop", "--send-test")
    ran = cli.run(*arguments, stdin=b"test@northwind.example\n")
    assert ran.code == 1
    assert "test-record" not in ran.out
    assert written(sandbox) == []


def test_an_interrupted_check_tells_what_it_has(cli: CommandLine, sandbox: Sandbox) -> None:
    names = [f"many-{number}" for number in range(AT_ONCE)]
    for name in names:
        add(cli, sandbox, name)
    sandbox.state.inject(target="platform", kind="hang", key="view-schemas")

    def interrupt() -> None:
        while sum("schemaregistry" in one["path"] for one in sandbox.state.requests) < AT_ONCE:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    ran = cli.run("integrations", "check", "--json")
    thread.join()
    assert ran.code == 130
    with pytest.raises(json.JSONDecodeError):
        json.loads(ran.out)
    assert "interrupted: checked 0 of 6 integrations" in ran.err


def test_a_test_record_is_for_one_integration(cli: CommandLine) -> None:
    ran = cli.run("integrations", "check", "--send-test")
    assert ran.code == 2
    assert "needs the id of one integration" in ran.err


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ({"status": 400}, "wrong - refused; HTTP 400"),
        ({"status": 403}, "wrong - refused; HTTP 403"),
        ({"status": 503}, "can't be judged - no usable answer"),
    ],
)
def test_what_became_of_the_test_record(
    cli: CommandLine, sandbox: Sandbox, fault: dict[str, Any], verdict: str
) -> None:
    sandbox.state.inject(target="collection", kind="status", **fault)
    arguments = ("integrations", "check", "shop", "--send-test")
    ran = cli.run(*arguments, stdin=b"test@northwind.example\n")
    assert f"shop  test-record: {verdict}" in ran.out


def test_the_examples_pass_against_the_emulator_that_is_set_up_for_them(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    for name in NAMES:
        (cli.integrations / f"{name}.json").unlink()
    files = sorted((ROOT / "examples" / "integrations").glob("*.json"))
    for one in files:
        text = one.read_text().replace("http://sandbox:9000", sandbox.url)
        (cli.integrations / one.name).write_text(text)
    document = json.loads((ROOT / "examples" / "adobe" / "set-up.json").read_text())
    sandbox.state.organization = Organization()
    sandbox.state.organization.put(document)
    ran = cli.run("integrations", "check")
    assert ran.code == 0, ran.out
    assert ran.out.splitlines()[-1].startswith(f"{len(files)} integrations: ")
    assert written(sandbox) == []
    for one in files:
        arguments = ("integrations", "check", one.stem, "--send-test")
        ran = cli.run(*arguments, stdin=b"test@northwind.example\n")
        assert ran.code == 0, ran.out
    assert len(sandbox.state.profiles) == len(files)
    assert sandbox.state.failures == []


SHOWN = sorted(one.parent.name for one in (ROOT / "examples").glob("*/integration.json"))


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("data_type", ["raw", "xdm"])
def test_an_example_of_mappings_passes_against_its_own_set_up(
    cli: CommandLine,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    data_type: DataType,
) -> None:
    cli.set("STATE_URL", f"sqlite://{tmp_path}/state.sqlite")
    cli.set("ORDERING_SECRET", "of-this-test")
    for variable in ("ADOBE_CLIENT_ID", "ADOBE_CLIENT_SECRET"):
        monkeypatch.setenv(variable, "local")
    for one in NAMES:
        (cli.integrations / f"{one}.json").unlink()
    directory = ROOT / "examples" / name
    text = (directory / "integration.json").read_text()
    text = text.replace("https://dcs.adobedc.net", sandbox.url)
    (cli.integrations / f"{name}.json").write_text(text)
    sandbox.state.organization = Organization()
    sandbox.state.organization.put(json.loads((directory / "set-up.json").read_text()))
    for dataflow in sandbox.state.organization.dataflows.values():
        dataflow.data_type = data_type
        dataflow.mappings = dataflow.mappings if data_type == "raw" else []
    ran = cli.run("integrations", "check")
    assert ran.code == 0, ran.out
    ran = cli.run("integrations", "check", name, "--send-test", stdin=b"lena@northwind.example\n")
    assert ran.code == 0, ran.out
    assert sandbox.state.failures == []
    assert len(sandbox.state.profiles) == 1
