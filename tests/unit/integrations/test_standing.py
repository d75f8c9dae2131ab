"""Integrations learn where their state is before they are put into force."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from devtools.waiting import wait_until
from tests.unit.examples import integration
from tests.unit.integrations.test_registry import GRACE, Directory
from worker.integrations.change_summary import Change
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.state_id_needs import Standing
from worker.integrations.told_mode import in_mode


class Teller:
    """Tells that the state of `b` is that of `a`; nothing while it `is_away`."""

    def __init__(self) -> None:
        self.asked: list[Standing] = []
        self.is_away = False

    async def ask(self, standing: Standing) -> Mapping[str, str] | None:
        self.asked.append(standing)
        if self.is_away:
            return None
        return {
            one: "a" if one == "b" and "a" not in standing.targets else one
            for one in standing.targets
        }


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
async def directory(tmp_path: Path, teller: Teller) -> Directory:
    made = Directory(tmp_path)
    made.write("a")
    made.registry.load()
    made.registry.ask_states = teller.ask
    assert not await made.registry.settle()
    return made


async def look(registry: IntegrationRegistry) -> Change | None:
    return await registry.settle(registry._read())


def fresh(registry: IntegrationRegistry) -> list[tuple[str, str]]:
    """Who gets events of the organization, and where its state is."""
    return [(one.id, one.state_id) for one in registry.for_organization("northwind")]


async def test_one_that_is_renamed_takes_over_at_once_and_alone(
    directory: Directory, teller: Teller
) -> None:
    directory.remove("a")
    directory.write("b")
    change = await look(directory.registry)
    assert change == Change(loaded=("b",), vanished=("a",))
    assert fresh(directory.registry) == [("b", "a")]
    former = directory.registry.get("a")
    assert former is not None, "what it has begun goes on"
    assert former.state_id == "a"
    assert directory.registry.missing_for("northwind") == {}
    directory.now += GRACE
    assert await look(directory.registry) == Change(removed=("a",))
    assert (directory.registry.get("a"), fresh(directory.registry)) == (None, [("b", "a")])


async def test_one_that_has_vanished_and_is_nobody_elses_gets_its_events(
    directory: Directory,
) -> None:
    directory.remove("a")
    await look(directory.registry)
    assert fresh(directory.registry) == [("a", "a")]


async def test_a_change_keeps_the_state_and_asks_nobody(
    directory: Directory, teller: Teller
) -> None:
    directory.remove("a")
    path = directory.write("b")
    await look(directory.registry)
    before, asked = directory.registry.get("b"), len(teller.asked)
    path.touch()
    assert not await look(directory.registry)
    assert directory.registry.get("b") is before, "by that a lane tells a change"
    teller.is_away = True
    directory.write("b", source_name="other")
    assert await look(directory.registry) == Change(loaded=("b",))
    assert fresh(directory.registry) == [("b", "a")]
    assert len(teller.asked) == asked


async def test_without_an_answer_nothing_new_is_put_into_force(
    directory: Directory, teller: Teller
) -> None:
    teller.is_away = True
    directory.remove("a")
    directory.write("b")
    assert await look(directory.registry) is None
    assert fresh(directory.registry) == [("a", "a")]
    teller.is_away = False
    await look(directory.registry)
    assert fresh(directory.registry) == [("b", "a")]


async def test_what_can_not_be_read_is_in_doubt(directory: Directory, teller: Teller) -> None:
    directory.registry.remember(
        {*directory.registry.lately_in_force(), '["northwind","x","y.json","0"]'}
    )
    directory.write("y", "{")
    directory.write("c", events="all")
    directory.write("a", "{")
    directory.write("b")
    await look(directory.registry)
    assert teller.asked[-1].targets.keys() == {"a", "b"}, "a bad file keeps its last version"
    assert teller.asked[-1].doubtful == {"c", "x", "y"}


async def test_a_gone_one_is_asked_for_no_more_and_all_are_once_a_minute(
    directory: Directory, teller: Teller
) -> None:
    directory.remove("a")
    await look(directory.registry)
    assert (teller.asked[-1].targets, teller.asked[-1].known) == ({}, {"a": "a"})
    asked = len(teller.asked)
    await look(directory.registry)
    assert len(teller.asked) == asked
    directory.now += 60
    await look(directory.registry)
    assert len(teller.asked) == asked + 1


async def test_the_watch_asks_as_well(directory: Directory) -> None:
    watching = asyncio.create_task(directory.registry.watch(0.01, lambda _: None))
    directory.remove("a")
    directory.write("b")
    await wait_until(lambda: fresh(directory.registry) == [("b", "a")], "the takeover")
    watching.cancel()


def test_the_target_is_the_place_at_adobe() -> None:
    one = integration()
    properties = one.properties.model_dump()
    same = integration(id="other", source_name="other", upsert_mode=not one.upsert_mode)
    assert same.target_digest == one.target_digest
    others = [
        integration(organization_id="other"),
        *(
            integration(properties=properties | {name: value})
            for name, value in {
                "organization_id": "XYZ@AdobeOrg",
                "dataset_id": "other",
                "dataflow_endpoint": f"{one.properties.dataflow_endpoint}x",
            }.items()
        ),
    ]
    assert len({one.target_digest, *(other.target_digest for other in others)}) == 5


def test_the_state_goes_along_with_the_mode_and_makes_no_difference_else() -> None:
    one = integration(payload_mode="auto")
    assert one.state_id == one.id
    moved = one.with_state_id("former")
    assert in_mode(moved, "upsert").state_id == "former"
    assert moved.content_digest == one.content_digest
    assert moved.with_state_id("former") is moved
    assert (moved == one, moved.with_state_id(one.id) == one) == (False, True)
