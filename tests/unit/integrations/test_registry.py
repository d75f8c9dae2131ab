"""The integrations in force while files come, change, break and go."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devtools.examples import integration_document
from devtools.waiting import wait_until
from worker.integrations.change_summary import Change
from worker.integrations.directory import Readings, read_directory
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.loading import InvalidIntegrations
from worker.integrations.secret_references import SecretSource

GRACE = 600.0
DAY = 86_400.0
SHOP_SEEN = '["northwind","shop","shop.json","0123456789abcdef"]'


class Directory:
    """A directory of integrations, the registry that reads it, and its clock."""

    def __init__(self, path: Path) -> None:
        self.path = path / "integrations"
        self.path.mkdir()
        self.now = 1_000.0
        self.registry = self.another_registry()

    def another_registry(self, **options: Any) -> IntegrationRegistry:
        chosen: dict[str, Any] = {"grace_seconds": GRACE, "clock": lambda: self.now} | options
        return IntegrationRegistry(
            self.path,
            lambda _: None,
            {},
            **chosen,
        )

    def write(self, name: str, content: str | None = None, **changes: Any) -> Path:
        path = self.path / f"{name}.json"
        if content is None:
            content = json.dumps(integration_document(**({"id": name} | changes)))
        path.write_text(content)
        return path

    def remove(self, name: str) -> None:
        (self.path / f"{name}.json").unlink()

    def broken(self, organization: str) -> list[str]:
        missing = self.registry.missing_for(organization)
        return [one for one, kind in missing.items() if kind == "broken"]

    def in_force_lately(self) -> set[str]:
        return {json.loads(one)[1] for one in self.registry.lately_in_force()}

    def refresh(self) -> Change:
        change = self.registry.refresh()
        assert change is not None
        return change

    def source_of(self, integration_id: str) -> str | None:
        found = self.registry.get(integration_id)
        return found.source_name if found else None


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
    assert [one.id for one in directory.registry.disabled_for("northwind")] == ["press"]
    assert directory.registry.for_organization("else") == []
    assert directory.registry.disabled_for("else") == []


def test_a_paused_one_is_among_those_that_get_events(directory: Directory) -> None:
    directory.write("shop", paused=True)
    directory.registry.load()
    (shop,) = directory.registry.for_organization("northwind")
    assert shop.paused
    assert directory.registry.is_enabled("shop")
    assert directory.in_force_lately() == {"shop"}


def test_each_state_of_an_integration_is_told_once(directory: Directory) -> None:
    directory.write("shop")
    directory.write("press", enabled=False)
    assert directory.registry.load().switched == (("press", "disabled"),)
    turns: list[tuple[dict[str, Any], str]] = [
        ({"paused": True}, "paused"),
        ({"enabled": False}, "disabled"),
        ({}, "enabled"),
    ]
    for changes, state in turns:
        directory.write("shop", **changes)
        assert directory.refresh().switched == (("shop", state),)
        directory.write("shop", source_name="other", **changes)
        assert directory.refresh().switched == ()


def test_they_are_counted_by_state(directory: Directory) -> None:
    directory.write("a")
    directory.write("b", paused=True)
    directory.write("c", enabled=False)
    directory.write("d", "{")
    directory.registry.load()
    directory.remove("a")
    directory.refresh()
    assert directory.registry.counts() == {
        "enabled": 1,
        "paused": 1,
        "disabled": 1,
        "vanished": 1,
        "missing": 0,
        "invalid": 1,
    }


def test_two_workers_tell_by_the_version_whether_they_have_the_same(directory: Directory) -> None:
    directory.write("shop")
    directory.write("press")
    directory.registry.load()
    version = directory.registry.version
    other = directory.another_registry()
    other.load()
    assert other.version == version
    secret = integration_document()["authentication"] | {"client_secret": "another"}
    directory.write("shop", authentication=secret)
    directory.registry.refresh()
    assert directory.registry.version == version, "credentials differ between rotations"
    directory.write("shop", limits={"requests_in_flight": 3})
    directory.refresh()
    assert directory.registry.version != version
    directory.write("shop")
    directory.refresh()
    assert directory.registry.version == version


def test_a_changed_one_takes_effect(directory: Directory) -> None:
    directory.write("shop")
    directory.registry.load()
    directory.write("shop", organization_id="southwind", source_name="longer")
    assert directory.refresh() == Change(("shop",), missing=("shop",))
    assert directory.registry.for_organization("northwind") == []
    assert [one.id for one in directory.registry.for_organization("southwind")] == ["shop"]


@pytest.mark.parametrize(("before", "mended"), [(1, True), (0, False), (True, 1), (1, 1.0)])
def test_a_value_that_is_mended_to_one_that_only_python_calls_equal_takes_effect(
    directory: Directory, before: Any, mended: Any
) -> None:
    def write(said: Any) -> None:
        news = {"id": "_acme.news", "value": "consents_purposes_news_enabled"}
        directory.write("shop", mappings=[news, {"id": "_acme.known", "constant": said}])

    write(before)
    directory.registry.load()
    write(mended)
    assert directory.refresh() == Change(("shop",))
    shop = directory.registry.get("shop")
    assert shop is not None
    assert json.dumps(shop.mappings[1].constant) == json.dumps(mended)


def test_a_file_that_is_touched_changes_nothing(directory: Directory) -> None:
    path = directory.write("shop")
    directory.registry.load()
    before = directory.registry.get("shop")
    path.write_text(path.read_text() + "\n")
    assert directory.registry.refresh() is None
    assert directory.registry.get("shop") is before, "the same object, by which lanes tell"


def test_an_id_that_changes_is_one_gone_and_one_new(directory: Directory) -> None:
    directory.write("shop")
    directory.registry.load()
    directory.write("shop", id="store")
    assert directory.refresh() == Change(("store",), ("shop",))


@pytest.mark.parametrize("is_renamed", [False, True])
def test_an_id_that_is_gone_is_known_for_as_long_as_events_may_wait_for_it(
    directory: Directory, is_renamed: bool
) -> None:
    directory.write("shop", source_name="shop")
    directory.registry.load()
    assert not directory.registry.has_known("store")
    if is_renamed:
        directory.write("shop", id="store", source_name="shop")
    else:
        directory.remove("shop")
    directory.refresh()
    directory.now += GRACE
    for _ in range(2):
        directory.registry.refresh()
        assert not directory.registry.knows("shop")
        assert directory.registry.has_known("shop")
    assert directory.registry.has_known("store") is is_renamed
    directory.now += 2 * DAY
    directory.registry.refresh()
    assert directory.registry.missing_for("northwind") == {}
    assert directory.registry.has_known("shop"), "its events become dead letters only now"
    another = directory.another_registry()
    another.load()
    assert not another.has_known("shop")
    another.remember([SHOP_SEEN])
    assert another.has_known("shop"), "as others have seen it"


def test_an_id_of_a_bad_file_is_known_when_that_is_gone(directory: Directory) -> None:
    directory.write("shop")
    directory.write("typo", upsert_mode="hush")
    directory.registry.load()
    directory.remove("typo")
    directory.refresh()
    assert not directory.registry.knows("typo")
    assert directory.registry.has_known("typo"), "the end of what waits for it has its id, too"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="no JSON"),
        pytest.param("{}", id="nothing in it"),
        pytest.param('{"id": "other", "organization_id": "northwind"}', id="another id"),
    ],
)
def test_a_bad_file_keeps_its_last_good_version_until_it_is_mended(
    directory: Directory, content: str
) -> None:
    directory.write("shop")
    directory.registry.load()
    directory.write("shop", content)
    change = directory.refresh()
    assert (change.loaded, change.removed) == ((), ())
    assert "shop.json" in change.problems[0]
    assert directory.registry.notes == list(directory.registry.problems)
    assert directory.broken("northwind") == []
    directory.now += 100 * DAY
    assert directory.registry.refresh() is None
    assert directory.registry.get("shop") is not None
    directory.write("shop", source_name="mended")
    assert directory.refresh().mended == change.problems
    assert directory.registry.notes == []


def test_one_bad_file_does_not_keep_the_others_from_changing(directory: Directory) -> None:
    directory.write("shop")
    directory.write("press")
    directory.registry.load()
    directory.write("shop", "{")
    directory.write("press", source_name="longer")
    assert directory.refresh().loaded == ("press",)


def test_a_start_takes_the_good_ones_and_names_the_bad_ones(directory: Directory) -> None:
    directory.write("shop")
    directory.write("press", organization_id="southwind", events="all")
    directory.write("keys", authentication={"client_id": "${MISSING}"}, organization_id="eastwind")
    directory.registry.load()
    assert [one.id for one in directory.registry.integrations] == ["shop"]
    assert directory.registry.has_any
    notes = "\n".join(directory.registry.notes)
    assert "press.json: events: " in notes
    assert "keys.json: authentication.client_id: the environment variable MISSING" in notes
    assert directory.broken("southwind") == ["press"]
    assert directory.broken("eastwind") == ["keys"]
    assert directory.broken("northwind") == []
    assert directory.registry.knows("press")


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        pytest.param({"events": "all"}, ["new"], id="by its id"),
        pytest.param({"id": None}, ["file"], id="by its file, without a usable id"),
        pytest.param({"id": "lena@b.example"}, ["file"], id="by its file, for a bad id"),
        pytest.param({"organization_id": " northwind ", "events": 1}, ["new"], id="with blanks"),
        pytest.param({"organization_id": None}, [], id="not at all, whose it is being unknown"),
    ],
)
def test_an_organizations_integration_that_never_was_good_is_known_as_broken(
    directory: Directory, changes: dict[str, Any], broken: list[str]
) -> None:
    directory.registry.load()
    directory.write("file", **({"id": "new"} | changes))
    directory.refresh()
    assert directory.broken("northwind") == broken
    directory.write("file", id="new", source_name="mended")
    directory.refresh()
    assert directory.broken("northwind") == []


def test_an_organization_that_a_bad_file_now_names_is_not_without_integration(
    directory: Directory,
) -> None:
    """The last good version, in force, is another organization's."""
    directory.write("shop")
    directory.registry.load()
    directory.write("shop", organization_id="southwind", events="all")
    directory.refresh()
    assert [one.id for one in directory.registry.for_organization("northwind")] == ["shop"]
    assert directory.broken("southwind") == ["shop"]


class TestIds:
    """Two files of one id: who had it keeps it, and nobody gets it by the order of names."""

    def test_a_newcomer_does_not_get_an_id_that_is_in_use(self, directory: Directory) -> None:
        directory.write("shop")
        directory.registry.load()
        directory.write("a-twin", id="shop", source_name="twin", organization_id="southwind")
        assert "id: 'shop' is taken by shop.json" in directory.refresh().problems[0]
        assert directory.source_of("shop") == "Didomi"
        assert directory.broken("northwind") == []
        assert directory.broken("southwind") == ["a-twin"]

    def test_nor_while_the_owners_file_is_bad(self, directory: Directory) -> None:
        directory.write("shop")
        directory.registry.load()
        directory.write("shop", "{")
        directory.write("a-twin", id="shop", source_name="twin")
        directory.refresh()
        assert directory.source_of("shop") == "Didomi"
        directory.write("shop", source_name="mended")
        directory.refresh()
        assert directory.source_of("shop") == "mended"

    def test_the_owner_may_change_meanwhile(self, directory: Directory) -> None:
        directory.write("shop")
        directory.write("a-twin", id="else")
        directory.registry.load()
        directory.write("a-twin", id="shop", source_name="twin")
        directory.write("shop", source_name="changed")
        directory.refresh()
        assert directory.source_of("shop") == "changed"
        assert directory.source_of("else") == "Didomi", "its last good version"

    @pytest.mark.parametrize("second", [{}, {"organization_id": "southwind"}, {"events": "all"}])
    def test_at_the_start_nobody_gets_it(
        self, directory: Directory, second: dict[str, str]
    ) -> None:
        directory.write("other", organization_id="eastwind")
        directory.write("shop")
        directory.write("twin", id="shop", **second)
        problems = "\n".join(directory.registry.load().problems)
        assert "shop.json: id: 'shop' is taken by twin.json" in problems
        assert "twin.json: " in problems
        assert directory.registry.get("shop") is None
        for organization in {"northwind", second.get("organization_id", "northwind")}:
            assert directory.broken(organization) == ["shop"]
        assert directory.registry.knows("shop")
        assert directory.registry.has_any
        assert not directory.registry.refresh(), "nor at the next look"
        directory.remove("twin")
        directory.refresh()
        assert directory.source_of("shop") == "Didomi"
        assert directory.registry.notes == []

    def test_nobody_gets_the_id_of_a_vanished_one_if_two_want_it(
        self, directory: Directory
    ) -> None:
        directory.write("shop")
        directory.registry.load()
        directory.remove("shop")
        directory.write("a", id="shop", source_name="a")
        directory.write("b", id="shop", source_name="b")
        directory.refresh()
        assert directory.source_of("shop") == "Didomi"

    def test_a_renamed_file_takes_over_at_once(self, directory: Directory) -> None:
        path = directory.write("shop")
        directory.registry.load()
        before = directory.registry.get("shop")
        path.rename(path.with_name("store.json"))
        assert directory.registry.refresh() is None
        assert directory.registry.get("shop") is before
        directory.write("store", id="shop", source_name="changed")
        assert directory.refresh() == Change(("shop",))

    def test_so_does_one_that_is_renamed_and_bad(self, directory: Directory) -> None:
        path = directory.write("shop")
        directory.registry.load()
        path.unlink()
        directory.write("store", id="shop", events="all")
        directory.refresh()
        directory.now += GRACE + 1
        directory.registry.refresh()
        assert directory.source_of("shop") == "Didomi"

    def test_two_files_may_swap_their_ids(self, directory: Directory) -> None:
        directory.write("a", source_name="was a")
        directory.write("b", source_name="was b")
        directory.registry.load()
        directory.write("a", id="b", source_name="now b")
        directory.write("b", id="a", source_name="now a")
        assert directory.refresh().problems == ()
        assert (directory.source_of("a"), directory.source_of("b")) == ("now a", "now b")

    def test_a_dead_letter_is_never_named_by_an_id_of_somebody_else(
        self, directory: Directory
    ) -> None:
        directory.write("shop")
        directory.write("press")
        directory.registry.load()
        (directory.path / "press.json").rename(directory.path / "p.json")
        directory.write("press", id="shop", organization_id="southwind")
        directory.refresh()
        assert directory.broken("southwind") == ["unknown"]


class TestVanished:
    """A file that is gone leaves its last version in force for a while."""

    def test_back_in_time_nothing_has_happened(self, directory: Directory) -> None:
        path = directory.write("shop")
        directory.registry.load()
        before, content = directory.registry.get("shop"), path.read_text()
        path.unlink()
        assert directory.refresh() == Change(vanished=("shop",))
        assert directory.registry.notes == [
            f"{path}: is gone; integration shop stays in force for 600 s after that was noticed"
        ]
        directory.now += GRACE - 1
        assert directory.registry.refresh() is None
        assert directory.registry.get("shop") is before
        path.write_text(content)
        assert directory.refresh() == Change(returned=("shop",))
        assert directory.registry.get("shop") is before
        directory.now += GRACE
        assert directory.registry.refresh() is None, "the time that it was away is forgotten"

    def test_back_as_a_bad_file_it_keeps_its_last_good_version(self, directory: Directory) -> None:
        directory.write("shop")
        directory.registry.load()
        directory.remove("shop")
        directory.refresh()
        directory.write("shop", "{")
        assert directory.refresh().returned == ("shop",)
        directory.now += 2 * GRACE
        assert directory.registry.refresh() is None
        assert directory.registry.get("shop") is not None

    def test_afterwards_it_is_gone(self, directory: Directory) -> None:
        directory.write("shop")
        directory.registry.load()
        directory.remove("shop")
        directory.refresh()
        directory.now += GRACE
        assert directory.refresh() == Change(removed=("shop",), missing=("shop",))
        assert not directory.registry.knows("shop")
        assert not directory.registry.has_any
        [note] = directory.registry.notes
        assert note.startswith("integration shop of organization northwind was in force within")
        assert directory.registry.counts()["missing"] == 1
        directory.now += DAY
        directory.registry.refresh()
        assert directory.registry.notes == []
        assert directory.registry.counts()["missing"] == 0

    def test_so_it_is_for_an_emptied_directory(self, directory: Directory) -> None:
        for one in ("a", "b", "c"):
            directory.write(one)
        directory.registry.load()
        for one in ("a", "b", "c"):
            directory.remove(one)
        assert directory.refresh().vanished == ("a", "b", "c")
        assert len(directory.registry.for_organization("northwind")) == 3
        directory.now += GRACE
        assert len(directory.refresh().removed) == 3
        assert not directory.registry.has_any

    def test_what_is_no_regular_file_any_more_has_vanished(self, directory: Directory) -> None:
        path = directory.write("shop")
        directory.registry.load()
        path.unlink()
        path.mkdir()
        assert directory.refresh().vanished == ("shop",)

    def test_without_a_grace_it_goes_at_once(self, directory: Directory) -> None:
        directory.write("shop")
        directory.registry = directory.another_registry(grace_seconds=0)
        directory.registry.load()
        directory.remove("shop")
        assert directory.refresh().removed == ("shop",)


class TestDoubt:
    """Whether the events of an organization without integration wait or are skipped."""

    @pytest.fixture(autouse=True)
    def _one_that_is_valid(self, directory: Directory) -> None:
        directory.write("other", organization_id="eastwind")

    def _vanish(self, directory: Directory) -> None:
        directory.remove("shop")
        directory.refresh()
        directory.now += GRACE
        assert directory.refresh().removed == ("shop",)

    def test_there_is_none_about_an_organization_that_nobody_knows(
        self, directory: Directory
    ) -> None:
        directory.registry.load()
        assert directory.registry.doubt_about("northwind") is None

    def test_strictly_there_always_is(self, directory: Directory) -> None:
        registry = directory.another_registry(unknown_organization="park")
        registry.load()
        assert registry.doubt_about("northwind") == "CONSENT_WORKER_UNKNOWN_ORGANIZATION is park"

    def test_without_any_valid_integration(self, directory: Directory) -> None:
        directory.remove("other")
        directory.registry.load()
        assert not directory.registry.has_any
        assert "no valid integration at all" in str(directory.registry.doubt_about("northwind"))
        directory.write("press", enabled=False, organization_id="southwind")
        directory.refresh()
        assert directory.registry.has_any, "a disabled one is valid"
        assert directory.registry.doubt_about("northwind") is None

    @pytest.mark.parametrize(
        "content",
        ["", "{", "[]", "{}", '{"organization_id": 7}', '{"organization_id": " "}', "\x00"],
    )
    def test_while_any_file_does_not_tell_its_organization(
        self, directory: Directory, content: str
    ) -> None:
        directory.registry.load()
        directory.write("half", content)
        directory.refresh()
        assert "half.json" in str(directory.registry.doubt_about("northwind"))
        directory.write("half", organization_id="westwind")
        directory.refresh()
        assert directory.registry.doubt_about("northwind") is None

    def test_also_if_its_last_good_version_is_in_force(self, directory: Directory) -> None:
        directory.registry.load()
        directory.write("other", "{")
        directory.refresh()
        assert "other.json" in str(directory.registry.doubt_about("northwind"))

    def test_while_a_link_leads_nowhere(self, directory: Directory) -> None:
        (directory.path / "gone.json").symlink_to(directory.path / "nowhere")
        directory.registry.load()
        assert "gone.json" in str(directory.registry.doubt_about("northwind"))

    def test_for_a_day_after_a_vanished_one_has_gone(self, directory: Directory) -> None:
        directory.write("shop")
        directory.registry.load()
        self._vanish(directory)
        directory.now += DAY - 1
        directory.registry.refresh()
        assert "within the last 24 hours" in str(directory.registry.doubt_about("northwind"))
        directory.now += 1
        directory.registry.refresh()
        assert directory.registry.doubt_about("northwind") is None

    @pytest.mark.parametrize(
        "changes", [{"organization_id": "southwind"}, {"id": "new", "organization_id": "southwind"}]
    )
    def test_for_a_day_after_a_file_changed_hands(
        self, directory: Directory, changes: dict[str, str]
    ) -> None:
        directory.write("shop")
        directory.registry.load()
        directory.write("shop", **changes)
        assert directory.refresh().missing == ("shop",)
        assert directory.registry.doubt_about("northwind") is not None
        assert "shop of organization northwind" in directory.registry.notes[0]

    def test_not_if_it_was_disabled_when_its_file_vanished(self, directory: Directory) -> None:
        directory.write("shop")
        directory.registry.load()
        directory.registry.remember([SHOP_SEEN])
        directory.write("shop", enabled=False)
        directory.refresh()
        self._vanish(directory)
        assert directory.registry.doubt_about("northwind") is None
        directory.registry.remember([SHOP_SEEN])
        assert directory.registry.doubt_about("northwind") is None, "others may not know yet"

    def test_it_is_one_more_time_when_it_comes_back_and_vanishes(
        self, directory: Directory
    ) -> None:
        directory.write("shop", enabled=False)
        directory.registry.load()
        self._vanish(directory)
        directory.write("shop")
        directory.refresh()
        self._vanish(directory)
        assert directory.registry.doubt_about("northwind") is not None

    def test_about_what_others_have_seen_while_they_say_so(self, directory: Directory) -> None:
        directory.registry.load()
        directory.registry.remember([SHOP_SEEN])
        assert directory.registry.doubt_about("northwind") is not None
        assert directory.registry.doubt_about("southwind") is None
        directory.registry.remember([])
        assert directory.registry.doubt_about("northwind") is None

    def test_while_the_directory_can_not_be_listed(self, directory: Directory) -> None:
        directory.registry.load()
        moved = directory.path.rename(directory.path.with_name("moved"))
        directory.refresh()
        assert "can't be read" in str(directory.registry.doubt_about("northwind"))
        moved.rename(directory.path)
        directory.refresh()
        assert directory.registry.doubt_about("northwind") is None


class TestMissing:
    """Integrations that should have events of an organization that has others, too."""

    @pytest.fixture(autouse=True)
    def _one_that_is_valid(self, directory: Directory) -> None:
        directory.write("other")

    def _missing(self, directory: Directory) -> dict[str, str]:
        return dict(directory.registry.missing_for("northwind"))

    def _after_a_restart(self, directory: Directory) -> IntegrationRegistry:
        """Another worker, which learns what this one has told."""
        told = directory.registry.lately_in_force()
        directory.registry.remember(told)
        forgotten = directory.registry.lately_dismissed()
        directory.registry = directory.another_registry()
        directory.registry.load()
        directory.registry.remember(told - forgotten)
        return directory.registry

    def _vanish(self, directory: Directory) -> None:
        directory.remove("shop")
        directory.refresh()
        directory.now += GRACE
        directory.refresh()

    def test_only_enabled_ones_are_to_be_remembered(self, directory: Directory) -> None:
        directory.write("shop", paused=True)
        directory.write("press", enabled=False)
        directory.write("bad", events="all")
        directory.registry.load()
        assert directory.in_force_lately() == {"other", "shop"}

    def test_none_is_while_all_is_well(self, directory: Directory) -> None:
        directory.write("shop", source_name="shop")
        directory.registry.load()
        registry = self._after_a_restart(directory)
        assert self._missing(directory) == {}
        assert registry.doubt_about_all() is None

    @pytest.mark.parametrize("restarts", [False, True])
    def test_one_whose_file_is_gone_is_for_a_day(
        self, directory: Directory, restarts: bool
    ) -> None:
        directory.write("shop", source_name="shop")
        directory.registry.load()
        if restarts:
            directory.remove("shop")
            self._after_a_restart(directory)
        else:
            self._vanish(directory)
        assert self._missing(directory) == {"shop": "gone"}
        assert directory.registry.missing_for("southwind") == {}
        directory.now += DAY
        directory.registry.remember([])
        directory.registry.refresh()
        assert self._missing(directory) == {}

    @pytest.mark.parametrize("restarts", [False, True])
    def test_one_that_was_disabled_is_not(self, directory: Directory, restarts: bool) -> None:
        directory.write("shop", source_name="shop")
        directory.registry.load()
        directory.registry.remember(directory.registry.lately_in_force())
        directory.write("shop", source_name="shop", enabled=False)
        directory.refresh()
        assert directory.registry.lately_dismissed()
        directory.now += 2 * DAY
        self._vanish(directory)
        if restarts:
            self._after_a_restart(directory)
        assert self._missing(directory) == {}

    @pytest.mark.parametrize("restarts", [False, True])
    def test_one_that_has_another_id_now_is_not(self, directory: Directory, restarts: bool) -> None:
        directory.write("shop", source_name="shop")
        directory.registry.load()
        told = directory.registry.lately_in_force()
        directory.write("renamed", source_name="shop")
        directory.remove("shop")
        if restarts:
            directory.registry = directory.another_registry()
            directory.registry.load()
            directory.registry.remember(told)
        else:
            directory.refresh()
            directory.now += GRACE
            directory.refresh()
        assert self._missing(directory) == {}

    @pytest.mark.parametrize("content", ["", "{", '{"id": "shop"}', None])
    def test_a_file_that_is_known_is_in_doubt_by_its_name_alone(
        self, directory: Directory, content: str | None
    ) -> None:
        path = directory.write("x2", id="shop", source_name="shop")
        directory.registry.load()
        if content is None:
            path.unlink()
            path.symlink_to(path.with_name("nowhere"))
        else:
            directory.write("x2", content)
        registry = self._after_a_restart(directory)
        assert self._missing(directory) == {"shop": "gone"}
        assert registry.doubt_about_all() is None
        assert directory.in_force_lately() == {"other", "shop"}, "for as long as the file is bad"

    def test_one_that_is_in_force_although_its_file_is_bad_is_in_no_doubt(
        self, directory: Directory
    ) -> None:
        directory.registry.load()
        directory.write("other", "{")
        directory.refresh()
        assert self._missing(directory) == {}
        assert directory.registry.doubt_about_all() is None

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"organization_id": 7}'])
    def test_a_file_that_nobody_knows_may_be_anybodys(
        self, directory: Directory, content: str
    ) -> None:
        directory.registry.load()
        directory.write("half", content)
        directory.refresh()
        assert "half.json" in str(directory.registry.doubt_about_all())
        directory.write("half", organization_id="southwind")
        directory.refresh()
        assert directory.registry.doubt_about_all() is None

    def test_what_others_may_have_written_into_the_store_stops_nobody(
        self, directory: Directory
    ) -> None:
        directory.registry.load()
        strange = ["", "[", "[" * 100_000, "7", "[1,2,3,4]", '["northwind","a b","f","c"]', "{}"]
        directory.registry.remember([*strange, '["northwind","shop","f","c"]'])
        assert self._missing(directory) == {"shop": "gone"}


class TestWhatCountsAsAFile:
    """Names and kinds of files that are no integrations, and must stop nobody."""

    @pytest.mark.timeout(10)
    def test_hidden_names_and_what_is_no_regular_file_are_none(self, directory: Directory) -> None:
        directory.write("shop")
        directory.write(".shop", "{")
        (directory.path / ".#shop.json").symlink_to("somebody@host.1234")
        (directory.path / "directory.json").mkdir()
        os.mkfifo(directory.path / "fifo.json")
        (directory.path / "link.json").symlink_to(directory.path / "fifo.json")
        (directory.path / "zero.json").symlink_to("/dev/zero")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(directory.path / "s.json"))
            assert directory.registry.load() == Change(("shop",))
        assert directory.registry.notes == []

    @pytest.mark.timeout(10)
    def test_a_secret_that_is_a_fifo_makes_its_file_bad_and_stops_nothing(
        self, directory: Directory
    ) -> None:
        os.mkfifo(directory.path / "key")
        keys = {"client_id": "c", "client_secret": "file:key", "api_key": "k"}
        directory.write("shop", authentication=keys)
        directory.write("press")
        directory.registry.load()
        assert [one.id for one in directory.registry.integrations] == ["press"]
        assert "key is no regular file" in directory.registry.notes[0]
        (directory.path / "key").unlink()
        (directory.path / "key").write_text("secret")
        assert directory.refresh().loaded == ("shop",)

    def test_a_link_to_a_regular_file_is_one(self, directory: Directory) -> None:
        """As Kubernetes mounts them."""
        (directory.path / "..data").mkdir()
        path = directory.write("shop")
        path.rename(directory.path / "..data" / "shop.json")
        path.symlink_to("..data/shop.json")
        directory.registry.load()
        assert directory.registry.get("shop") is not None


class TestChanges:
    """What is noticed as a change of a file."""

    def _settle(self, path: Path, modified: int = 1_000_000_000) -> None:
        os.utime(path, (modified, modified))

    def test_a_swap_that_keeps_size_and_time_is_noticed(self, directory: Directory) -> None:
        path = directory.write("shop", source_name="aaaa")
        self._settle(path)
        directory.registry.load()
        other = directory.write("other", id="shop", source_name="bbbb")
        self._settle(other)
        assert other.stat().st_size == path.stat().st_size
        other.replace(path)
        directory.refresh()
        assert directory.source_of("shop") == "bbbb"

    def test_a_file_written_in_place_with_equal_size_and_time_is_noticed(
        self, directory: Directory
    ) -> None:
        path = directory.write("shop", source_name="aaaa")
        self._settle(path)
        directory.registry.load()
        directory.write("shop", source_name="bbbb")
        self._settle(path)
        directory.refresh()
        assert directory.source_of("shop") == "bbbb"

    @pytest.mark.parametrize("secret", ["key", "..data/key"])
    def test_a_rotated_secret_is_in_use_without_a_touch(
        self, directory: Directory, secret: str
    ) -> None:
        mounted = directory.path / secret
        mounted.parent.mkdir(exist_ok=True)
        mounted.write_text("old-secret")
        self._settle(mounted)
        keys = {"client_id": "c", "client_secret": f"file:{secret}", "api_key": "k"}
        path = directory.write("shop", authentication=keys)
        self._settle(path)
        directory.registry.load()
        replacement = directory.path / "replacement"
        replacement.write_text("new-secret")
        self._settle(replacement)
        replacement.replace(mounted)
        assert directory.refresh().loaded == ("shop",)
        found = directory.registry.get("shop")
        assert found is not None
        assert found.authentication.client_secrets() == ["new-secret"]

    def test_a_secret_that_comes_later_mends_the_file_that_names_it(
        self, directory: Directory
    ) -> None:
        keys = {"client_id": "c", "client_secret": "file:key", "api_key": "k"}
        directory.write("shop", authentication=keys)
        assert "FileNotFoundError" in directory.registry.load().problems[0]
        assert directory.registry.refresh() is None, "told once"
        (directory.path / "key").write_text("secret")
        change = directory.refresh()
        assert (change.loaded, len(change.mended)) == (("shop",), 1)

    def test_a_secret_that_goes_keeps_the_last_good_version(self, directory: Directory) -> None:
        (directory.path / "key").write_text("secret")
        keys = {"client_id": "c", "client_secret": "file:key", "api_key": "k"}
        directory.write("shop", authentication=keys)
        directory.registry.load()
        (directory.path / "key").unlink()
        assert "FileNotFoundError" in directory.refresh().problems[0]
        assert directory.registry.get("shop") is not None

    def test_what_has_not_changed_for_long_is_not_read_again(self, directory: Directory) -> None:
        checked: list[str] = []
        path = directory.write("shop")
        secrets = SecretSource({})

        def read(before: Readings, seconds_later: float) -> Readings:
            now_ns = path.stat().st_ctime_ns + int(seconds_later * 1e9)
            return read_directory(directory.path, before, secrets, checked.append, now_ns)

        soon = read({}, 1)
        later = read(soon, 3)
        assert len(checked) == 2, "another change might hide in the same tick of the clock"
        assert read(later, 4) is later
        assert len(checked) == 2
        directory.write("other")
        both = read(later, 4)
        assert both[path] is later[path]
        assert len(checked) == 3
        directory.remove("other")
        assert set(read(both, 4)) == {path}


def test_a_directory_that_is_away_takes_no_integration_with_it(directory: Directory) -> None:
    directory.write("shop")
    directory.registry.load()
    moved = directory.path.rename(directory.path.with_name("moved"))
    change = directory.refresh()
    assert "is not a directory" in change.problems[0]
    assert directory.registry.notes == list(change.problems)
    assert directory.registry.refresh() is None, "told once"
    directory.now += 10 * GRACE
    assert directory.registry.refresh() is None
    assert directory.registry.get("shop") is not None
    moved.rename(directory.path)
    assert directory.refresh() == Change(mended=change.problems)


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    """No one may read it; root, who may read anything, is somebody else meanwhile."""
    user = os.geteuid()
    path.chmod(0)
    if user == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(0o700)


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


def test_a_link_into_nowhere_is_told_once_and_harms_no_other(directory: Directory) -> None:
    directory.write("shop")
    (directory.path / "gone.json").symlink_to(directory.path / "nowhere")
    assert "gone.json: can't be read (FileNotFoundError)" in directory.registry.load().problems[0]
    assert directory.registry.get("shop") is not None
    assert directory.registry.refresh() is None


async def test_the_watch_tells_of_every_change(directory: Directory) -> None:
    directory.registry.load()
    changes: list[Change] = []
    watching = asyncio.create_task(directory.registry.watch(0.01, changes.append))
    directory.write("shop")
    await wait_until(lambda: directory.registry.get("shop"), "the new one")
    directory.remove("shop")
    await wait_until(lambda: changes and changes[-1].vanished == ("shop",), "that it is gone")
    directory.now += GRACE
    await wait_until(lambda: changes[-1].removed == ("shop",), "its removal")
    watching.cancel()


async def test_a_directory_that_does_not_answer_is_noted_and_holds_nobody(
    directory: Directory,
) -> None:
    answers = threading.Event()
    answers.set()
    directory.write("shop")

    def check(_: str) -> None:
        answers.wait()

    registry = IntegrationRegistry(directory.path, check, {}, clock=lambda: directory.now)
    registry.load()
    answers.clear()
    watching = asyncio.create_task(registry.watch(0.01, lambda _: None))
    directory.write("shop", source_name="other")

    def is_noted() -> bool:
        directory.now += 31
        return any("integrations: does not answer" in one for one in registry.notes)

    try:
        await wait_until(is_noted, "the note")
        assert [one.source_name for one in registry.for_organization("northwind")] == ["Didomi"]
    finally:
        answers.set()
    await wait_until(lambda: registry.integrations[0].source_name == "other", "the change")
    watching.cancel()


async def test_the_watch_outlives_what_nobody_expects(directory: Directory) -> None:
    """A fault of the worker's own, while the directory is listed."""
    changes: list[Change] = []
    directory.write("shop")
    directory.registry.load()
    path = directory.path
    directory.registry._directory = path / "a\x00b"
    watching = asyncio.create_task(directory.registry.watch(0.01, changes.append))
    await wait_until(lambda: changes, "the problem")
    assert "can't be read (ValueError)" in changes[0].problems[0]
    directory.registry._directory = path
    await wait_until(lambda: len(changes) > 1, "the end of it")
    assert directory.registry.get("shop") is not None
    watching.cancel()
