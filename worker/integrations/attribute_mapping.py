"""One mapping of an integration: what of an event goes where, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from worker.integrations.format_steps import CONTAINS, Format, format_mistake
from worker.integrations.mapping_sources import (
    check_mapping_value,
    is_consent,
    is_fact,
    is_preference,
    kind_of,
)
from worker.integrations.text_fields import FieldMistakes, Sendable, Strict, Text
from worker.integrations.xdm_paths import PERSON, check_target

_INSTEAD: Final = {"pending": "p", "empty": "n", "absent": "u"}
"""What is sent in place of what the format would write, and an example of `val` for each: Adobe's
words for pending, no and unknown."""


class Mapping(Strict):
    """A mapping: `value` (a place of the event) goes to `id` (a dotted path of the XDM record)."""

    id: Text
    value: Text | None = None
    """None: `constant` goes along with every message that has a choice in it."""
    format: Format = Field(["as-is"])
    """How the value is written: steps, each of which takes what the one before gives."""
    constant: Sendable = None
    """What is sent in place of the event's value, where the event has one."""
    time_path: Text | None = None
    """Dotted XDM path that gets the time when this choice was made."""
    pending: Sendable = None
    """What is sent for a consent that still has to be confirmed (`pending_approval`). None: it
    waits for its confirmation. A refusal always does."""
    empty: Sendable = None
    """What is sent for a preference of which nothing is selected any more. None: nothing is sent,
    and the choice is remembered."""
    absent: Sendable = None
    """What a choice becomes that a newer snapshot of the same Didomi user does not name any more;
    for events "user" alone."""

    @field_validator("id", "time_path")
    @classmethod
    def _is_a_target(cls, value: str | None) -> str | None:
        return value if value is None else check_target(value)

    @field_validator("value")
    @classmethod
    def _value_can_match(cls, value: str | None) -> str | None:
        return value if value is None else check_mapping_value(value)

    @field_serializer("format")
    def _short(self, steps: list[str]) -> str | list[str]:
        return steps[0] if len(steps) == 1 else steps

    @property
    def time_name(self) -> str | None:
        """The name that `time_path` has in the object that `consent-val` writes to `id`, if it
        lies there.
        """
        if self.time_path is None or self.format[-1] != "consent-val":
            return None
        name = self.time_path.removeprefix(f"{self.id}.")
        return name if name != self.time_path and "." not in name else None

    @property
    def targets(self) -> tuple[str, ...]:
        """The paths that the mapping writes, each of which must be its own."""
        beside = self.time_path if self.time_name is None else None
        return (self.id,) if beside is None else (self.id, beside)

    @property
    def fixed_bytes(self) -> int:
        """Bytes of JSON that the mapping makes a message longer by, whatever the event has."""
        fixed = (getattr(self, name) for name in ("constant", *_INSTEAD))
        return sum(len(json.dumps(one)) for one in fixed if one is not None)

    @property
    def is_silent_when_emptied(self) -> bool:
        """Whether nothing is sent for a preference of which nothing is selected any more."""
        return (
            self.value is not None
            and is_preference(self.value)
            and self.empty is None
            and not self.format[0].startswith(CONTAINS)
        )

    @property
    def is_silent_when_absent(self) -> bool:
        """Whether nothing is sent for a consent that a newer snapshot does not name any more. A
        preference counts as emptied then.
        """
        if self.value is None or self.absent is not None or not is_consent(self.value):
            return False
        return not is_preference(self.value) or self.is_silent_when_emptied

    @property
    def names_the_person(self) -> bool:
        """Whether a target of the mapping has the identity's value in it."""
        return any(PERSON in one.split(".") for one in self.targets)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        mistakes = [
            *self._mistakes_without_value(),
            *self._mistakes_of_format(),
            *self._mistakes_of_emptiness(),
            *self._mistakes_of_fixed_values(),
        ]
        if mistakes:
            raise FieldMistakes(mistakes)
        return self

    def _mistakes_without_value(self) -> Iterator[tuple[str, str]]:
        if self.value is not None:
            return
        if self.constant is None:
            yield "value", "is required, unless the mapping has a constant"
        for name in ("time_path", "pending", "empty", "absent"):
            if getattr(self, name) is not None:
                yield name, "needs a value: a constant alone is no choice"

    def _mistakes_of_format(self) -> Iterator[tuple[str, str]]:
        if self.constant is not None and self.format != ["as-is"]:
            yield "format", "has no meaning beside a constant, which is sent as it is: leave it out"
        elif self.value is not None:
            mistake = format_mistake(self.format, kind_of(self.value), self.id)
            if mistake is not None:
                yield "format", mistake

    def _mistakes_of_emptiness(self) -> Iterator[tuple[str, str]]:
        if self.value is None:
            return
        if self.absent is not None and is_fact(self.value):
            yield "absent", "has no meaning: this is of the event, and no choice to be taken back"
        if self.empty is None:
            return
        if kind_of(self.value) == "choice" or is_fact(self.value):
            yield (
                "empty",
                "has no meaning: only the values of a preference (…_value) and metadata can be "
                "empty",
            )
        elif self.format[0].startswith(CONTAINS):
            yield (
                "empty",
                f"has no meaning beside {self.format[0]}: an empty value contains nothing",
            )

    def _mistakes_of_fixed_values(self) -> Iterator[tuple[str, str]]:
        for name in ("constant", *_INSTEAD):
            said = getattr(self, name)
            if isinstance(said, dict) and self.id.endswith(".val"):
                yield name, "is an object, and the id ends in .val: write what val is, alone"
        if self.format[-1] == "consent-val":
            for name, word in _INSTEAD.items():
                said = getattr(self, name)
                if said is not None and not isinstance(said, dict):
                    yield name, f'must be an object as consent-val writes one: {{"val": "{word}"}}'
            if self.time_path == f"{self.id}.val":
                yield "time_path", "is where consent-val writes the choice: name another field"
