"""Where the reading of a stream goes on, by what is known of it."""

from __future__ import annotations

import pytest

from worker.broker.stream_consumer import Record
from worker.ledger.records import Progress, Start, start_of_reading

FIRST, LAST = Record(0, b"first"), Record(9, b"last")
READ = Progress(1, 0, FIRST.digest, 10, LAST.digest, 0, 0, 0)
LATER = READ._replace(first_offset=4, first_digest=b"what stood at 4")


@pytest.mark.parametrize(
    ("progress", "first", "at_last", "start"),
    [
        (None, None, None, Start(0, False)),
        (None, Record(7, b""), None, Start(7, False)),
        (READ._replace(next_offset=0), FIRST, None, Start(0, False)),
        (READ._replace(next_offset=0), None, None, Start(0, False)),
        (READ, FIRST, LAST, Start(10, False)),
        (READ, Record(3, b"later"), LAST, Start(10, False)),
        (READ, Record(10, b"next"), None, Start(10, False)),
        (READ, Record(15, b"later"), None, Start(15, False, lost=5)),
        (READ, Record(0, b"another"), LAST, Start(0, True)),
        (READ, Record(0, b"another"), None, Start(0, True)),
        (READ, FIRST, Record(9, b"another"), Start(0, True)),
        (READ, FIRST, Record(11, b"last"), Start(0, True)),
        (LATER, FIRST, LAST, Start(10, False)),
        (LATER, FIRST, None, Start(0, True)),
    ],
)
def test_where_to_go_on(
    progress: Progress | None, first: Record | None, at_last: Record | None, start: Start
) -> None:
    assert start_of_reading(progress, first, at_last) == start


@pytest.mark.parametrize("first", [None, FIRST, Record(3, b"later")])
def test_what_did_not_come_in_time_may_be_there(first: Record | None) -> None:
    assert start_of_reading(READ, first, None) is None


def test_a_stream_that_ends_before_what_was_read_with_news_lost_its_end() -> None:
    assert start_of_reading(READ, FIRST, None, ends_anew=True) == Start(0, True)
    later = Record(3, b"later")
    assert start_of_reading(READ, later, None, ends_anew=True) == Start(3, True)
