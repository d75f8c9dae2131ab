"""Commands that need the broker, when it is away or was never going to be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.unit.cli.conftest import CommandLine
from worker.cli.main import COMMANDS, build_app


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("publish", "-"), id="publish"),
        pytest.param(("topology", "declare"), id="topology declare"),
        pytest.param(("dead-letters", "list"), id="dead-letters list"),
        pytest.param(("dead-letters", "list", "--json"), id="dead-letters list --json"),
        pytest.param(("dead-letters", "list", "--older-than", "2h"), id="dead-letters by age"),
        pytest.param(("dead-letters", "show", "x"), id="dead-letters show"),
        pytest.param(("dead-letters", "replay"), id="dead-letters replay"),
        pytest.param(("dead-letters", "discard", "--yes"), id="dead-letters discard"),
        pytest.param(("dead-letters", "export", "-"), id="dead-letters export"),
    ],
)
def test_a_broker_that_is_away_is_exit_code_three(
    cli: CommandLine, arguments: tuple[str, ...]
) -> None:
    ran = cli.run(*arguments, stdin=b"{}")
    assert (ran.code, ran.out) == (3, "")
    assert "no connection to RabbitMQ" in ran.err
    assert "CONSENT_WORKER_AMQP_URL" in ran.err
    assert "hush" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("dead-letters", "list", "--older-than", "2"), "a number and s", id="no unit"),
        pytest.param(("dead-letters", "replay", "--newer-than", "2y"), "a number and", id="unit"),
        pytest.param(("dead-letters", "list", "--since", "noon"), "ISO 8601", id="moment"),
        pytest.param(
            ("dead-letters", "list", "--since", "2h", "--newer-than", "2h"), "say the", id="twice"
        ),
        pytest.param(
            ("dead-letters", "groups", "--reason", "retries-exausted"),
            "did you mean retries-exhausted?",
            id="reason",
        ),
        pytest.param(
            ("dead-letters", "replay", "--error", "adobe-unavailible"),
            "did you mean adobe-unavailable?",
            id="error",
        ),
        pytest.param(("dead-letters", "list", "--error", "zzz"), "must be one of", id="no error"),
        pytest.param(("dead-letters", "replay", "--group", "shop"), "8 hex digits", id="group"),
        pytest.param(("dead-letters", "replay", "--wait", "1d"), "--wait must be", id="wait"),
        pytest.param(("dead-letters", "list", "--limit", "0"), "--limit", id="limit"),
        pytest.param(("dead-letters", "replay", "--colour", "red"), "--colour", id="option"),
        pytest.param(("publish",), "file", id="no file"),
        pytest.param(("fly",), "fly", id="command"),
    ],
)
def test_wrong_usage_is_exit_code_two(
    cli: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    ran = cli.run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def _values(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Every option that takes a value, and every argument, of `command` and those below it."""
    for name, below in getattr(command, "commands", {}).items():
        yield from _values(below, *path, name)
    for parameter in command.params:
        if path and parameter.param_type_name == "argument":
            yield path
        elif path and not parameter.is_flag:
            yield (*path, parameter.opts[0])


ALL_VALUES = sorted(set(_values(get_command(build_app(*COMMANDS)))))


def test_the_options_that_take_a_value_are_known() -> None:
    assert {
        ("dead-letters", "discard", "--id"),
        ("dead-letters", "replay", "--older-than"),
        ("dead-letters", "show"),
        ("integrations", "check"),
        ("explain", "--integration"),
        ("sandbox", "--host"),
    } <= set(ALL_VALUES)


@pytest.mark.parametrize("words", ALL_VALUES, ids=" ".join)
def test_a_value_that_is_empty_is_wrong_usage_and_never_means_all(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    option = words[-1] if words[-1].startswith("--") else None
    forms = [(*words, ""), (*words, "", "--yes")]
    if option:
        forms.append((*words[:-1], f"{option}="))
    for arguments in forms:
        ran = cli.run(*arguments, stdin=b"{}")
        assert (ran.code, ran.out) == (2, ""), arguments
        assert ran.err == (
            f"consent-worker: {option or 'an argument'} must not be empty; "
            "leave it out if it is not meant\n"
        )


@pytest.mark.parametrize("answer", [b"n\n", b""])
def test_a_discard_that_is_not_confirmed_does_not_begin(cli: CommandLine, answer: bytes) -> None:
    ran = cli.run("dead-letters", "discard", stdin=answer)
    assert ran.code == 1
    assert "lost for good" in ran.err
    assert "RabbitMQ" not in ran.err


def test_a_file_that_is_not_there_is_named(cli: CommandLine, tmp_path: Path) -> None:
    ran = cli.run("publish", str(tmp_path / "none.json"))
    assert ran.code == 1
    assert "No such file or directory" in ran.err
    assert "none.json" in ran.err


@pytest.mark.parametrize(
    ("delay", "exchange", "queues"),
    [("native", "acme.delay.125ms", 17), ("plugin", "acme.delayed", 5)],
)
def test_the_topology_is_shown_without_asking_the_broker(
    cli: CommandLine, delay: str, exchange: str, queues: int
) -> None:
    cli.set("NAMESPACE", "acme")
    cli.set("DELAY", delay)
    shown = cli.run("topology", "show", "--json").document
    assert exchange in [one["name"] for one in shown["exchanges"]]
    assert len(shown["queues"]) == queues
    lines = cli.run("topology", "show").out.splitlines()
    assert f"exchange {exchange} ({'topic' if delay == 'native' else 'x-delayed-message'})" in lines
    assert "queue    acme.events" in lines
    assert "binding  acme.events -> acme.events [#]" in lines


def test_without_a_command_the_commands_are_listed(cli: CommandLine) -> None:
    ran = cli.run()
    assert ran.code == 2
    for command in (
        "run",
        "publish",
        "explain",
        "sandbox",
        "integrations",
        "dead-letters",
        "erase",
        "state",
    ):
        assert command in ran.out + ran.err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        pytest.param("AMQP_URL", "http://u:hush@h/", "must start with amqp://", id="URL"),
        pytest.param("AMQP_URL", "amqp://u:h#ush@h/", "percent-encoded", id="password"),
        pytest.param("DELAY", "hush", "'native' or 'plugin'", id="delay"),
        pytest.param("RETRY_BUDGET_SECONDS", "1", "greater than or equal to 3", id="budget"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    cli: CommandLine, name: str, value: str, said: str
) -> None:
    cli.set(name, value)
    ran = cli.run("topology", "show")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"consent-worker: setting CONSENT_WORKER_{name}: ")
    assert said in ran.err
    assert "hush" not in ran.err


def test_a_redis_url_with_an_option_that_there_is_not_is_named(cli: CommandLine) -> None:
    cli.set("STATE_URL", "redis://u:hush@h/?colour=red")
    ran = cli.run("run")
    assert ran.code == 2
    assert "consent-worker: setting CONSENT_WORKER_STATE_URL: " in ran.err
    assert "hush" not in ran.err


@pytest.mark.parametrize(
    "arguments", [("state", "show"), ("state", "accept"), ("dead-letters", "replay")]
)
def test_a_redis_that_is_away_is_exit_code_three(
    cli: CommandLine, arguments: tuple[str, ...]
) -> None:
    cli.set("STATE_URL", "redis://u:hush@127.0.0.1:1/")
    ran = cli.run(*arguments)
    assert (ran.code, ran.out) == (3, "")
    assert "consent-worker: Redis can't be reached" in ran.err
    assert "hush" not in ran.err


@pytest.mark.parametrize("command", ["show", "accept"])
def test_a_state_in_memory_can_not_be_asked_for(cli: CommandLine, command: str) -> None:
    ran = cli.run("state", command)
    assert (ran.code, ran.out) == (2, "")
    assert "CONSENT_WORKER_STATE_URL" in ran.err


def test_all_settings_that_make_no_sense_are_named_at_once(cli: CommandLine) -> None:
    cli.set("DELAY", "x")
    cli.set("HTTP_PORT", "x")
    ran = cli.run("run")
    assert ran.code == 2
    assert "CONSENT_WORKER_DELAY" in ran.err
    assert "CONSENT_WORKER_HTTP_PORT" in ran.err
