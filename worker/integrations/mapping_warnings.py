"""Mappings that are valid and yet perhaps not meant: what they never send, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from worker.integrations.attribute_mapping import Mapping
from worker.integrations.mapping_sources import is_fact, is_of_events_alone

Warnings = Iterator[tuple[str, str]]
"""The field, and what is to be thought of."""
_NAMED_AT_MOST: Final = 20


def silence_warnings(mappings: Sequence[Mapping], *, are_snapshots: bool) -> Warnings:
    """Mappings that never send anything: of facts that no snapshot has, and where none can make a
    message.
    """
    if all(one.value is None or is_fact(one.value) for one in mappings):
        yield (
            "mappings",
            "nothing is ever sent: all entries are constants or facts of the event, which only go "
            "along with a choice; add one for a purpose, a preference or another choice",
        )
    never = [
        number
        for number, one in enumerate(mappings, 1)
        if are_snapshots and one.value is not None and is_of_events_alone(one.value)
    ]
    if never:
        yield (
            f"mappings.{never[0]}.value",
            f'never has anything with events "user"{also_mappings(never[1:])}: a snapshot has of '
            "these facts only created_at, updated_at and regulation; take it out",
        )


def emptied_warnings(mappings: Sequence[Mapping]) -> Warnings:
    """Preferences whose last value stays at Adobe when nothing is selected any more."""
    stay = [number for number, one in enumerate(mappings, 1) if one.is_silent_when_emptied]
    if stay:
        yield (
            f"mappings.{stay[0]}",
            f"has no empty{also_mappings(stay[1:])}: when nothing of a preference is selected any "
            "more, Adobe keeps its last values (the event is skipped as emptied). Say with empty "
            'what is sent then, such as "none"',
        )


def also_mappings(numbers: Sequence[int]) -> str:
    """Other mappings of which a sentence is true."""
    if not numbers:
        return ""
    named = ", ".join(str(one) for one in numbers[:_NAMED_AT_MOST])
    more = " and more" if len(numbers) > _NAMED_AT_MOST else ""
    return f" (also mappings {named}{more})" if len(numbers) > 1 else f" (also mapping {named})"
