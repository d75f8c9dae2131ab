"""Pieces of pages, by what they show."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader

from worker.console import formats
from worker.ledger.honour_times import HonourTimes, Quantiles


def test_ids_that_differ_at_their_end_are_told_apart() -> None:
    made = Environment(loader=PackageLoader("worker.console"), autoescape=True)
    for name in ("plain", "number", "span", "rough_span", "moment", "machine_moment"):
        made.filters[name] = getattr(formats, name)
    shown = made.from_string('{% import "macros.html" as ui %}{{ ui.end_of(text) }}')
    id_of = "5ada320faf2deaef00000000000000{:02d}".format
    first, second = (shown.render(text=id_of(n)) for n in (1, 2))
    assert "0001</bdi>" in first
    assert first.partition("<bdi>")[2] != second.partition("<bdi>")[2]
    assert f'title="{id_of(1)}"' in first
    assert shown.render(text="letter-1") == "<code><bdi>letter-1</bdi></code>"


def test_of_a_sample_it_says_of_how_many_it_is() -> None:
    made = Environment(loader=PackageLoader("worker.console"), autoescape=True)
    for name in ("plain", "number", "span", "rough_span", "moment", "machine_moment"):
        made.filters[name] = getattr(formats, name)
    shown = made.from_string('{% import "macros.html" as ui %}{{ ui.sample_note(some, all) }}')
    some = Quantiles(737, 100, 200)
    all_times = HonourTimes(some, None, [], [], is_sample=True, looked_at=6_000)
    told = shown.render(some=some, all=all_times)
    assert told == "737 of them, among 6,000 receipts looked at"
    assert shown.render(some=some, all=all_times._replace(is_sample=False)) == "over 737 of them"
    assert shown.render(some=None, all=all_times) == "none in this time"
