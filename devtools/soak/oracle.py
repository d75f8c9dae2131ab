"""What Adobe must end with, whatever came in which order. Pure.

It is written from the promises, docs/ordering.md and docs/mappings.md, and shares no code with the
worker. Its answer is what would stand there if all had come in the order in which it was chosen.

Where the promises leave it open, several answers are right:
 - A snapshot that came only after a newer one of the same Didomi user is superseded unread, so
   nobody need know what it had said.
 - A snapshot without `consents` counts only for a Didomi user who is known.
 - An emptied choice of which nothing is sent leaves at a merging inlet what stood there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, combinations
from typing import Any, Final, Protocol

from devtools.soak.customer import ATTRIBUTES, PREFERENCE, Customer
from devtools.soak.statements import Statement

_SAYS_NOTHING: Final = ("event.deleted",)
_FACT: Final = "country"
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


class Course(Protocol):
    """What became of the statements of a person on their way."""

    def was_delivered(self, said: Statement) -> bool:
        """Whether Adobe has accepted a message with something of it."""
        ...

    def was_kept_before(self, first: Statement, then: Statement) -> bool:
        """Whether the worker had done with `first` before `then` was published at all."""
        ...


@dataclass(frozen=True)
class Stand:
    """What stands at an attribute: `value` None for nothing. `by`: who said it."""

    value: Any
    by: Statement | None = None


_NOTHING: Final = Stand(None)


def what_is_wrong(
    customer: Customer, said: Sequence[Statement], record: dict[str, Any], course: Course
) -> list[str]:
    """What in the `record` of one person is not as what was `said` of it demands; empty if all is
    as it must be. Of copies the first counts.
    """
    said = _distinct(one for one in said if one.form not in _SAYS_NOTHING)
    problems = []
    for name in ATTRIBUTES:
        allowed = _allowed(customer, name, said, course)
        seen, wanted = _shown(name, record), [_wanted(name, one) for one in allowed]
        if seen not in wanted:
            problems.append(f"{name} is {seen} instead of {_told(wanted)}")
    problems += _wrong_time(record.get("asOf"), said, course)
    if unknown := record.keys() - {*ATTRIBUTES, "offersSince", "asOf"}:
        problems.append(f"nobody has said {', '.join(sorted(unknown))}")
    return problems


def _allowed(
    customer: Customer, name: str, said: list[Statement], course: Course
) -> Iterator[Stand]:
    for heard in _hearings(said, course) if customer.takes_snapshots else [said]:
        for stand in _standing(customer, name, heard):
            yield stand
            if stand.by is not None and stand.value is None and not customer.replaces_record:
                yield from _left_over(customer, name, heard, stand.by, course)


# Events: the newest that names an attribute has it. Snapshots: the same, but what a newer one of
# the same Didomi user does not name is taken back, where it was that user who had said it.


def _standing(customer: Customer, name: str, heard: list[Statement]) -> list[Stand]:
    """What stands after all of it, oldest first. Several where nothing tells the newest."""
    stands = [_NOTHING]
    for one in sorted(heard, key=lambda one: _rank(name, one)):
        after: list[Stand] = []
        for stand in stands:
            after += _after(customer, name, stand, one)
        stands = after
    return stands


def _after(customer: Customer, name: str, stand: Stand, one: Statement) -> list[Stand]:
    by = stand.by
    if name in one.choices:
        newer = Stand(_written(customer, name, one.choices[name]), one)
        is_tie = by is not None and one.is_snapshot and _rank(name, by) == _rank(name, one)
        return [newer, stand] if is_tie else [newer]
    if by is not None and one.is_snapshot and one.device == by.device:
        taken_back = Stand(_absent(customer, name), one)
        # Who has taken it back already need not say so again, so the time may be the first one.
        return [taken_back] if name in by.choices else [taken_back, stand]
    return [stand]


def _rank(name: str, one: Statement) -> tuple[Any, ...]:
    """The event time; the later update, and a change without a time after the creation; the
    refusal; the greater id, which must be of a shape that workers keep as it is. The id of a
    snapshot is a digest, of which nothing is known here.
    """
    value = one.choices.get(name)
    is_refusal = value is False or value is None or (name == PREFERENCE and value == "")
    if one.is_snapshot:
        return one.at, one.version, is_refusal
    return one.at, one.updated_at or _EARLIEST, one.form == "event.updated", is_refusal, one.id


# What need not have been heard.


def _hearings(said: list[Statement], course: Course) -> Iterator[list[Statement]]:
    """What may have been heard of the snapshots: all of it, or all but some that may be unheard."""
    speaking = [one for one in said if not _is_new_and_empty(one)]
    maybe_silent = [one for one in speaking if _may_be_silent(one, speaking, course)]
    for silent in _subsets(maybe_silent):
        left = [one for one in speaking if one not in silent]
        newest = {one.device: one for one in sorted(left, key=lambda one: (one.at, one.version))}
        late = [
            one for one in left if newest[one.device] is not one and not course.was_delivered(one)
        ]
        for unheard in _subsets(late):
            yield [one for one in left if one not in unheard]


def _is_new_and_empty(one: Statement) -> bool:
    """A new device starts so, and has nothing to take back."""
    return one.form == "user.created" and not one.choices


def _may_be_silent(one: Statement, said: list[Statement], course: Course) -> bool:
    """Without `consents` it counts only for one who is known; and where a new device is is no
    choice.
    """
    if one.form == "user.created" and not one.choices.keys() - {_FACT}:
        return True
    return not one.has_consents and not any(
        other.device == one.device
        and course.was_delivered(other)
        and course.was_kept_before(other, one)
        for other in said
    )


def _left_over(
    customer: Customer, name: str, heard: list[Statement], newest: Statement, course: Course
) -> Iterator[Stand]:
    """What may still stand at a merging inlet though the newest choice is an emptied one: anything
    older that need not have come after it.
    """
    yield _NOTHING
    for one in heard:
        if course.was_kept_before(newest, one):
            continue
        if name in one.choices:
            yield Stand(_written(customer, name, one.choices[name]), one)
        elif one.is_snapshot:
            yield Stand(_absent(customer, name), one)


# How it is written.


def _written(customer: Customer, name: str, value: bool | str) -> Any:
    if name == PREFERENCE and value == "":
        return customer.empty
    return {"val": "y" if value else "n"} if name == "offers" else value


def _absent(customer: Customer, name: str) -> Any:
    """A preference that is not named any more counts as emptied, unless its mapping says more."""
    return customer.absent.get(name, customer.empty if name == PREFERENCE else None)


def _shown(name: str, record: dict[str, Any]) -> Any:
    """`offers` goes with the time when it was chosen."""
    value = record.get(name)
    return (value, _time(record.get("offersSince"))) if name == "offers" else value


def _wanted(name: str, stand: Stand) -> Any:
    if name != "offers":
        return stand.value
    has_time = stand.value is not None and stand.by is not None
    return stand.value, stand.by.at if has_time and stand.by else None


def _wrong_time(as_of: str | None, said: list[Statement], course: Course) -> list[str]:
    """The time of the record is never older than what was sent for the person."""
    sent = [one.at for one in said if course.was_delivered(one)]
    seen = _time(as_of)
    if sent and (seen is None or seen < max(sent)):
        return [f"the record is of {seen}, though what was sent is of {max(sent)}"]
    return [] if seen is None or seen in [one.at for one in said] else [f"nothing is of {seen}"]


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _told(wanted: list[Any]) -> str:
    distinct: list[Any] = []
    for one in wanted:
        if one not in distinct:
            distinct.append(one)
    return " or ".join(map(str, distinct))


def _distinct(said: Iterable[Statement]) -> list[Statement]:
    distinct: list[Statement] = []
    for one in said:
        if one not in distinct:
            distinct.append(one)
    return distinct


def _subsets(said: list[Statement]) -> Iterator[tuple[Statement, ...]]:
    return chain.from_iterable(combinations(said, size) for size in range(len(said) + 1))
