"""The integrations in force while files come, change, break and go."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devtools.waiting import wait_until
from tests.unit.examples import integration_document
from worker.integrations.loading import InvalidIntegrations
from worker.integrations.registry import Change, IntegrationRegistry


class Directory:
    """A directory of integrations, and the registry that reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "integrations"
        self.path.mkdir()
        self.registry = IntegrationRegistry(self.path, lambda _: None, {})

    def write(self, name: str, content: str | None = None, **changes: Any) -> Path:
        path = self.path / f"{name}.json"
        if content is None:
            content = json.dumps(integration_document(**({"id": name} | changes)))
        path.write_text(content)
        return path

    def refresh(self) -> Change:
        change = self.registry.refresh()
        assert change is not None
        return change


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def test_disabled_ones_are_known_and_get_no_events(directory: Directory) -> None:
    directory.write("shop")
    directory.write("press", enabled=False)
    directory.registry.load()
    assert [one.id for one in directory.registry.integrations] == ["press", "shop"]
    assert len(directory.registry) == 2
    assert [one.id for one in directory.registry.for_organization("northwind")] == ["shop"]
    assert directory.registry.for_organization("else") == []


def test_a_changed_one_takes_effect(directory: Directory) -> None:
    directory.write("shop")
    directory.registry.load()
    directory.write("shop", organization_id="southwind", source_name="longer")
    assert directory.refresh() == Change(("shop",), (), ())
    assert directory.registry.for_organization("northwind") == []
    assert [one.id for one in directory.registry.for_organization("southwind")] == ["shop"]


def test_a_file_that_is_touched_changes_nothing(directory: Directory) -> None:
    path = directory.write("shop")
    directory.registry.load()
    path.write_text(path.read_text() + "\n")
    assert directory.refresh() == Change((), (), ())


def test_an_id_that_changes_is_one_gone_and_one_new(directory: Directory) -> None:
    directory.write("shop")
    directory.registry.load()
    directory.write("shop", id="store")
    assert directory.refresh() == Change(("store",), ("shop",), ())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("{}", id="nothing in it"),
        pytest.param('{"id": "other", "organization_id": "northwind"}', id="another id"),
    ],
)
def test_a_bad_file_keeps_its_last_good_version_until_it_is_mended_or_gone(
    directory: Directory, content: str
) -> None:
    path = directory.write("shop")
    directory.registry.load()
    directory.write("shop", content)
    change = directory.refresh()
    assert (change.loaded, change.removed) == ((), ())
    assert "shop.json" in change.problems[0]
    assert directory.registry.get("shop") is not None
    assert directory.registry.is_broken_for("northwind") == []
    path.unlink()
    assert directory.refresh() == Change((), ("shop",), ())


def test_one_bad_file_does_not_keep_the_others_from_changing(directory: Directory) -> None:
    directory.write("shop")
    directory.write("press")
    directory.registry.load()
    directory.write("shop", "{")
    directory.write("press", source_name="longer")
    assert directory.refresh().loaded == ("press",)


def test_the_id_of_a_kept_one_may_be_taken_over_by_a_good_file(directory: Directory) -> None:
    directory.write("shop")
    directory.registry.load()
    directory.write("shop", "{")
    directory.write("store", id="shop", source_name="other")
    directory.refresh()
    found = directory.registry.get("shop")
    assert found is not None
    assert found.source_name == "other"


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        pytest.param({"events": "all"}, ["new"], id="by its id"),
        pytest.param({"id": None}, ["file"], id="by its file, without a usable id"),
        pytest.param({"id": "lena@b.example"}, ["file"], id="by its file, for a bad id"),
        pytest.param({"organization_id": None}, [], id="not at all, whose it is being unknown"),
    ],
)
def test_an_organizations_integration_that_never_was_good_is_known_as_broken(
    directory: Directory, changes: dict[str, Any], broken: list[str]
) -> None:
    directory.registry.load()
    directory.write("file", **({"id": "new"} | changes))
    directory.refresh()
    assert directory.registry.is_broken_for("northwind") == broken
    directory.write("file", id="new", source_name="mended")
    directory.refresh()
    assert directory.registry.is_broken_for("northwind") == []


def test_a_second_file_of_one_id_is_broken_and_the_first_serves(directory: Directory) -> None:
    directory.write("shop")
    directory.registry.load()
    directory.write("twin", id="shop", source_name="twin")
    assert "'shop' is taken by shop.json" in directory.refresh().problems[0]
    found = directory.registry.get("shop")
    assert found is not None
    assert found.source_name == "Didomi"
    assert directory.registry.is_broken_for("northwind") == ["twin"]


def test_a_directory_that_is_away_takes_no_integration_with_it(directory: Directory) -> None:
    directory.write("shop")
    directory.registry.load()
    moved = directory.path.rename(directory.path.with_name("moved"))
    change = directory.refresh()
    assert "is not a directory" in change.problems[0]
    assert directory.registry.get("shop") is not None
    moved.rename(directory.path)
    assert directory.refresh().problems == ()
    assert directory.registry.problems == ()


@contextmanager
def _unreadable(directory: Path) -> Iterator[None]:
    """No one may read it; root, who may read anything, is somebody else meanwhile."""
    user = os.geteuid()
    directory.chmod(0)
    if user == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(user)
        directory.chmod(0o700)


def test_a_directory_that_may_not_be_read_takes_no_integration_with_it(
    directory: Directory,
) -> None:
    directory.write("shop")
    directory.registry.load()
    with _unreadable(directory.path):
        change = directory.refresh()
        assert "can't be read (PermissionError)" in change.problems[0]
        assert directory.registry.refresh() is None, "told once"
    assert directory.registry.get("shop") is not None
    assert directory.refresh().problems == ()


def test_a_start_with_a_directory_that_may_not_be_read_is_refused(directory: Directory) -> None:
    directory.write("shop")
    with (
        _unreadable(directory.path),
        pytest.raises(InvalidIntegrations, match="can't be read") as refused,
    ):
        directory.registry.load()
    assert "integrations" in str(refused.value)


def test_a_link_into_nowhere_is_no_reason_to_reload_for_ever(directory: Directory) -> None:
    directory.write("shop")
    (directory.path / "gone.json").symlink_to(directory.path / "nowhere")
    directory.registry.refresh()
    assert directory.registry.get("shop") is not None
    assert directory.registry.refresh() is None


async def test_the_watch_tells_of_every_change(directory: Directory) -> None:
    directory.registry.load()
    changes: list[Change] = []
    watching = asyncio.create_task(directory.registry.watch(0.01, changes.append))
    directory.write("shop")
    await wait_until(lambda: directory.registry.get("shop"), "the new one")
    (directory.path / "shop.json").unlink()
    await wait_until(lambda: directory.registry.get("shop") is None, "its removal")
    await wait_until(lambda: changes and changes[-1].removed == ("shop",), "the news of it")
    watching.cancel()
