"""One customer's integration: what follows from its fields, and whether these fit together."""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final, Generic, Literal, Self, TypeVar

from pydantic import PrivateAttr, ValidationInfo, model_validator

from worker.integrations.coherence import (
    NOTHING_AROUND,
    Surroundings,
    completion_mistakes,
    device_warnings,
    event_time_mistakes,
    identity_mistakes,
    regulation_mistakes,
    regulation_warnings,
    snapshot_mistakes,
    target_mistakes,
)
from worker.integrations.integration_fields import IntegrationFields
from worker.integrations.mapping_warnings import emptied_warnings, silence_warnings
from worker.integrations.text_fields import FieldMistakes

Made = TypeVar("Made")


class Derived(Generic[Made]):
    """What follows from an integration, made when it is asked for first. It is kept on the
    integration itself, under `name`: a changed integration makes its own, and one that is gone
    takes it along. What is made is never None.
    """

    def __init__(self, name: str, make: Callable[[Integration], Made]) -> None:
        self._name = f"_made_{name}"
        self._make = make

    def of(self, integration: Integration) -> Made:
        """What was made of this integration."""
        kept = integration.__dict__  # as `cached_property` does, whose room may not import ours
        made: Made | None = kept.get(self._name)
        if made is None:
            made = kept[self._name] = self._make(integration)
        return made


WrittenMode = Literal["upsert", "xdm"]
IntegrationState = Literal["enabled", "paused", "disabled"]
Missing = Literal["broken", "gone"]
"""Why an integration can't have its events now: no version is valid, or its file is gone."""

MOST_FIXED_BYTES: Final = 65_536
_TOO_LONG: Final = (
    "constant, pending, empty and absent of all entries together have more than "
    f"{MOST_FIXED_BYTES} bytes, which every message might carry: shorten them"
)


class Integration(IntegrationFields):
    """One integration of type `adobe-experience-cloud`: enabled, paused or disabled."""

    _surroundings: Surroundings = PrivateAttr(NOTHING_AROUND)
    _state_id: str | None = PrivateAttr(None)

    @cached_property
    def state_id(self) -> str:
        """What the state of newest-wins calls the integration: its id, unless it had another
        before.
        """
        return self._state_id or self.id

    def model_copy(
        self, *, update: abc.Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """A copy of the integration that works out anew what follows from its fields; pydantic's
        takes it along.
        """
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[name]
        return copy

    def with_state_id(self, state_id: str) -> Self:
        """The same integration with its state there."""
        if state_id == self.state_id:
            return self
        copy = self.model_copy()
        copy._state_id = None if state_id == self.id else state_id
        return copy

    @property
    def state(self) -> IntegrationState:
        """What the integration's file says of it: enabled, paused or disabled."""
        if not self.enabled:
            return "disabled"
        return "paused" if self.paused else "enabled"

    @property
    def needs_lookup(self) -> bool:
        """Whether only contacts that Adobe knows already are updated."""
        return not self.upsert_mode

    @cached_property
    def replaces_record(self) -> bool:
        """Whether a message replaces the whole record at Adobe instead of updating part of it."""
        return self.payload_mode == "xdm"

    @cached_property
    def keeps_more(self) -> bool:
        """Whether more is kept of a user than stamps: who said it, and what. It has no end."""
        return self.events == "user" or self.replaces_record

    @property
    def completes(self) -> bool:
        """Whether each message has to carry what earlier ones have said, or it would be erased."""
        return self.replaces_record and self.events == "event"

    @property
    def may_look_up(self) -> bool:
        """Whether Adobe can be asked what it has of a person, by whatever is known of them."""
        return all(rule.namespace is not None for _, rule in self.identity_rules)

    @property
    def surroundings(self) -> Surroundings:
        """What is around the worker that has loaded the integration."""
        return self._surroundings

    @property
    def warnings(self) -> list[str]:
        """What of the integration is valid and yet perhaps not meant, as `field: sentence`."""
        warnings = [*regulation_warnings(self.regulations)]
        warnings += silence_warnings(self.mappings, are_snapshots=self.events == "user")
        if not self.replaces_record:  # or what is emptied is erased
            warnings += emptied_warnings(self.mappings)
        warnings += device_warnings(self.payload_mode, self.events, self.surroundings)
        return [f"{name}: {sentence}" for name, sentence in warnings]

    @model_validator(mode="after")
    def _parts_fit_together(self, information: ValidationInfo) -> Self:
        if isinstance(information.context, Surroundings):
            self._surroundings = information.context
        mistakes = list(self._mistakes())
        if mistakes:
            raise FieldMistakes(mistakes)
        return self

    def _mistakes(self) -> Iterator[tuple[str, str]]:
        yield from regulation_mistakes(self.regulations)
        yield from target_mistakes(self.mappings, self.properties.user_identifier)
        if sum(one.fixed_bytes for one in self.mappings) > MOST_FIXED_BYTES:
            yield "mappings", _TOO_LONG
        if self.completes:
            yield from completion_mistakes(
                self.surroundings, self.identity_rules, starts_empty=self.dataset_starts_empty
            )
        yield from snapshot_mistakes(
            self.mappings,
            are_snapshots=self.events == "user",
            may_erase=self.payload_mode != "upsert",
        )
        yield from event_time_mistakes(self.event_time_path, self.mappings, self.identity_rules)
        for identifier, rule in self.identity_rules:
            yield from identity_mistakes(
                identifier, rule, self.mappings, needs_lookup=self.needs_lookup
            )
