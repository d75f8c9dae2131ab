"""However many are concerned, ten are told by name and the others by their number."""

from __future__ import annotations

import json
from io import StringIO

import pytest

from tests.unit.integrations.test_registry import Directory
from worker.integration_change_log import report_change
from worker.integrations.change_summary import Change
from worker.integrations.model import IntegrationState
from worker.observability.logging import configure_logging
from worker.shortened_lists import first, names

MANY = 300
IDS = tuple(f"shop-{number:03}" for number in range(MANY))


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, 0), (1, 1), (10, 10), (11, 11), (300, 11)],
)
def test_the_first_ten_are_told(number: int, told: int) -> None:
    of = first(IDS[:number], "other", " here")
    assert len(of) == told
    assert of[:10] == list(IDS[:10][:number])
    assert of[10:] == ([f"and {_others(number - 10)} here"] if number > 10 else [])


def _others(number: int) -> str:
    return "1 more other" if number == 1 else f"{number} more others"


def test_within_a_sentence_as_well() -> None:
    assert names(["a", "b"]) == "a, b"
    assert names(IDS).endswith("shop-009, and 290 more")


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Directory:
    return Directory(tmp_path_factory.mktemp("integrations"))


def test_hundreds_of_claimants_of_one_id_are_few_words(directory: Directory) -> None:
    for name in IDS:
        directory.write(name, id="shop")
    change = directory.registry.load()
    assert len(change.problems) == MANY, "each of them is bad"
    assert max(len(one) for one in change.problems) < 500
    assert change.problems[0].endswith("shop-010.json, and 289 more")
    notes = directory.registry.notes
    assert len(notes) == 11
    assert notes[-1].startswith("and 290 more files; ")


def test_hundreds_of_files_that_are_gone_are_ten_notes(directory: Directory) -> None:
    for name in IDS:
        directory.write(name, organization_id=name)
    directory.registry.load()
    for name in IDS:
        directory.remove(name)
    directory.refresh()
    assert len(directory.registry.notes) == 11
    assert directory.registry.notes[-1] == "and 290 more integrations whose file is gone"


def test_the_log_has_ten_lines_of_a_kind_and_one_for_the_others() -> None:
    stream = StringIO()
    configure_logging("json", "info", stream)
    switched: tuple[tuple[str, IntegrationState], ...] = tuple((one, "paused") for one in IDS)
    report_change(Change(IDS, IDS, IDS, IDS, IDS, IDS, IDS, switched))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 1 + 6 * 11
    assert lines[0]["loaded"][10:] == lines[0]["removed"][10:] == ["and 290 more"]
    last = {one["event"]: one for one in lines}
    for event in ("vanished", "returned", "missing", "switched"):
        told = last[f"integration.{event}"]
        assert (told["integration"], told["detail"]) == (None, "and 290 more")
    assert last["integrations.invalid"]["detail"].startswith("and 290 more files; ")


def test_few_are_told_one_by_one() -> None:
    stream = StringIO()
    configure_logging("json", "info", stream)
    report_change(Change(switched=(("shop", "paused"),), vanished=("press",)))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["integration"] for one in lines] == ["press", "shop"]
