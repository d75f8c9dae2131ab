"""One mapping of an integration: what of an event goes where, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field, field_serializer, field_validator, model_validator

from worker.integrations.fields import FieldMistakes, Sendable, Strict, Text
from worker.integrations.formats import Format, format_mistake
from worker.integrations.paths import PERSON, check_target
from worker.integrations.values import check_mapping_value, kind_of


class Mapping(Strict):
    """`value` (a place of the event) goes to `id` (a dotted path of the XDM record)."""

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
        """The paths that it writes, each of which must be its own."""
        beside = self.time_path if self.time_name is None else None
        return (self.id,) if beside is None else (self.id, beside)

    @property
    def names_the_person(self) -> bool:
        """Whether a target has the identity's value in it."""
        return any(PERSON in one.split(".") for one in self.targets)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        mistakes = [
            *self._mistakes_without_value(),
            *self._mistakes_of_format(),
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
        for name, option in (("time_path", self.time_path), ("pending", self.pending)):
            if option is not None:
                yield name, "needs a value: a constant alone is no choice"

    def _mistakes_of_format(self) -> Iterator[tuple[str, str]]:
        if self.constant is not None and self.format != ["as-is"]:
            yield "format", "has no meaning beside a constant, which is sent as it is: leave it out"
        elif self.value is not None:
            mistake = format_mistake(self.format, kind_of(self.value), self.id)
            if mistake is not None:
                yield "format", mistake

    def _mistakes_of_fixed_values(self) -> Iterator[tuple[str, str]]:
        for name, said in (("constant", self.constant), ("pending", self.pending)):
            if isinstance(said, dict) and self.id.endswith(".val"):
                yield name, "is an object, and the id ends in .val: write what val is, alone"
        if self.format[-1] == "consent-val":
            if self.pending is not None and not isinstance(self.pending, dict):
                yield "pending", 'must be an object as consent-val writes one: {"val": "p"}'
            if self.time_path == f"{self.id}.val":
                yield "time_path", "is where consent-val writes the choice: name another field"
