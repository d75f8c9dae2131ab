"""Whose choices would be erased once a loss of the state is accepted: named, and not by the way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from devtools.examples import integration_document
from tests.unit.cli.conftest import CommandLine
from worker.delivery.inlets.inlet_answer import Answer
from worker.integrations.model import Integration
from worker.ordering.sqlite_store import SqliteStore
from worker.ordering.store_protocol import Timing

LOST = "1" * 16
SHOP = Integration.model_validate(integration_document())


@pytest.fixture
def state(cli: CommandLine, tmp_path: Path) -> Path:
    """One that has lost its data, which nobody has accepted."""
    path = tmp_path / "state.sqlite"
    cli.set("STATE_URL", f"sqlite://{path}")
    cli.set("ORDERING_SECRET", "of-this-test")
    asyncio.run(_play(path, None))
    return path


async def _play(path: Path, answer: Answer | None) -> bool:
    """Note the loss, or an answer; says whether the loss is still open."""
    store = SqliteStore(path, Timing(), is_worker=False)
    found = await store.epochs.look([LOST])
    if answer is not None:
        await store.inlets.keep("shop", answer.encode())
    await store.close()
    return bool(found.open_losses)


def is_open(path: Path) -> bool:
    return asyncio.run(_play(path, None))


@pytest.mark.parametrize(
    ("changes", "told", "is_named"),
    [
        ({"payload_mode": "xdm", "dataset_starts_empty": True}, None, True),
        ({"payload_mode": "auto", "dataset_starts_empty": True}, "xdm", True),
        ({"payload_mode": "auto", "dataset_starts_empty": True}, "upsert", False),
        ({"payload_mode": "auto", "dataset_starts_empty": True}, "untold", True),
        ({"payload_mode": "auto", "dataset_starts_empty": True}, "asked", True),
        ({"payload_mode": "auto", "dataset_starts_empty": True}, None, True),
        ({"payload_mode": "auto"}, None, False),
        ({"payload_mode": "auto", "events": "user"}, None, True),
        ({"payload_mode": "auto", "events": "user"}, "xdm", True),
        ({"payload_mode": "upsert"}, None, False),
        ({"payload_mode": "xdm", "dataset_starts_empty": True, "enabled": False}, None, False),
        ({"payload_mode": "xdm", "dataset_starts_empty": True, "events": "user"}, None, True),
        ({"payload_mode": "xdm", "events": "user"}, None, True),
        ({"payload_mode": "xdm"}, None, False),  # people are looked up
    ],
)
def test_who_would_erase_is_named_and_accepted_by_an_option_alone(
    cli: CommandLine, state: Path, changes: dict[str, Any], told: Any, is_named: bool
) -> None:
    cli.add("shop", **changes)
    if told is not None:
        asyncio.run(_play(state, Answer(told, 1, SHOP.inlet_digest)))
    ran = cli.run("state", "accept")
    assert (ran.code, is_open(state)) == ((1, True) if is_named else (0, False))
    assert (f"shop: {_begin(changes, told)}" in ran.err) == is_named
    if is_named:
        ran = cli.run("state", "accept", "--may-erase")
        assert (ran.code, is_open(state)) == (0, False)
        assert f"shop: {_begin(changes, told)}" in ran.err


def _begin(changes: dict[str, Any], told: Any) -> str:
    is_known = changes["payload_mode"] != "auto" or told == "xdm"
    return "its inlet is XDM-compatible" if is_known else "of which kind its inlet is, is not known"


def test_what_is_known_of_another_inlet_is_not_known_of_this_one(
    cli: CommandLine, state: Path
) -> None:
    cli.add("shop", payload_mode="auto", dataset_starts_empty=True)
    asyncio.run(_play(state, Answer("upsert", 1, "f" * 16)))
    ran = cli.run("state", "accept")
    assert (ran.code, is_open(state)) == (1, True)


def test_of_a_bad_file_it_can_not_be_told(cli: CommandLine, state: Path) -> None:
    cli.add("shop")
    cli.add("bad", events="all")
    ran = cli.run("state", "accept")
    assert (ran.code, is_open(state)) == (1, True)
    assert "bad.json: is not valid here" in ran.err


def test_what_can_not_be_told_is_not_accepted_either(
    cli: CommandLine, state: Path, tmp_path: Path
) -> None:
    cli.set("INTEGRATIONS", tmp_path / "nowhere")
    ran = cli.run("state", "accept")
    assert (ran.code, is_open(state)) == (1, True)
    assert "can't be told" in ran.err
    ran = cli.run("state", "accept", "--may-erase")
    assert (ran.code, is_open(state)) == (0, False)
