"""One customer's integration, in Didomi's own JSON form plus what a multi-customer worker needs.

The form of `authentication`, `properties`, `mappings` and `upsert_mode` is Didomi's:
https://developers.didomi.io/integrations/third-party-apps/adobe-experience-cloud
"""

from __future__ import annotations

import hashlib
from collections import abc
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from worker.integrations.coherence import (
    emptied_warnings,
    event_time_mistakes,
    identity_mistakes,
    regulation_mistakes,
    regulation_warnings,
    snapshot_mistakes,
    target_mistakes,
)
from worker.integrations.completion import (
    NOTHING_AROUND,
    Surroundings,
    completion_mistakes,
    device_warnings,
)
from worker.integrations.fields import ID_PATTERN, FieldMistakes, Strict, Text, Token
from worker.integrations.mapping import Mapping
from worker.integrations.paths import check_path
from worker.integrations.sections import (
    DEFAULT_PATHS,
    Authentication,
    IdentityRule,
    Limits,
    Properties,
    UserIdentifier,
)

WrittenMode = Literal["upsert", "xdm"]
PayloadMode = Literal["auto", "upsert", "xdm"]
EventSource = Literal["event", "user"]
IntegrationState = Literal["enabled", "paused", "disabled"]
Missing = Literal["broken", "gone"]
"""Why an integration can't have its events now: no version is valid, or its file is gone."""

MOST_MAPPINGS: Final = 1000
"""Each is an argument of a script in Redis, whose Lua can unpack some 4,000 at once."""


class Integration(Strict):
    """One integration of type `adobe-experience-cloud`: enabled, paused or disabled."""

    id: Annotated[str, StringConstraints(pattern=ID_PATTERN)]
    """How logs, metrics and commands call it; without one, the name of the file."""
    organization_id: Text
    """The Didomi organization whose events this integration receives."""
    enabled: bool = True
    """False: it takes no events, for good."""
    paused: bool = False
    """An operator's word: its events wait, and spend nothing of their budget, until it is taken
    back. Says nothing while `enabled` is false."""
    type_id: Literal["adobe-experience-cloud"]
    authentication: Authentication
    properties: Properties
    mappings: Annotated[list[Mapping], Field(min_length=1, max_length=MOST_MAPPINGS)]
    upsert_mode: bool = False
    """False: only contacts that a profile look-up finds are updated."""

    payload_mode: PayloadMode = "auto"
    """`upsert` is for a raw inlet; `xdm`, for an XDM-compatible one, replaces the whole record at
    Adobe; `auto` asks Adobe which of the two the dataflow has."""
    dataset_starts_empty: bool = False
    """True: nobody else writes to the dataset, and nobody did before this integration. So whom the
    worker does not know has nothing there that a whole record could erase."""
    events: EventSource = "event"
    """`user`: whole snapshots (user.created, user.updated) instead of single choices."""
    regulations: Annotated[list[Text], Field(min_length=1)] = Field(["gdpr"])
    """Ids of regulations as Didomi writes them; events of others are skipped."""
    source_name: Text = "Didomi"
    sandbox_name: Token | None = None
    """Adobe's sandbox; without one, its default one."""
    authenticated: bool = True
    """Whether the inlet wants a bearer token (the toggle Authentication of the dataflow)."""
    schema_content_type: Text = "application/vnd.adobe.xed-full+json;version=1"
    identities: dict[UserIdentifier, IdentityRule] = Field({})
    merge_policy_id: Token | None = None
    identity_dataset_id: Token | None = None
    event_time_path: Text | None = None
    """Dotted XDM path that gets the time of the newest choice, such as
    `extSourceSystemAudit.lastUpdatedDate`."""
    limits: Limits = Limits()
    _surroundings: Surroundings = PrivateAttr(NOTHING_AROUND)
    _state_id: str | None = PrivateAttr(None)

    @cached_property
    def identity_rules(self) -> tuple[tuple[UserIdentifier, IdentityRule], ...]:
        """The configured identifiers in their order, with the defaults of their rules filled in."""
        return tuple((one, self.identity_rule(one)) for one in self.properties.user_identifier)

    @cached_property
    def content_digest(self) -> str:
        """The same for two that differ in nothing but id, credentials, limits and state."""
        own = {"id", "enabled", "paused", "authentication", "limits"}
        return hashlib.sha256(self.model_dump_json(exclude=own).encode()).hexdigest()[:16]

    @cached_property
    def inlet_digest(self) -> str:
        """The same for two that send to the same inlet of the same dataflow."""
        own = self.properties
        parts = (own.organization_id, own.dataflow_endpoint, own.dataflow_id, self.sandbox_name)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @cached_property
    def target_digest(self) -> str:
        """The same for two whose choices come to stand at the same place at Adobe."""
        own = self.properties
        parts = (
            self.organization_id,
            own.organization_id,
            own.dataset_id,
            own.dataflow_endpoint,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @cached_property
    def state_id(self) -> str:
        """What the state of newest-wins calls it: its id, unless it had another one before."""
        return self._state_id or self.id

    def model_copy(
        self, *, update: abc.Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """A copy that works out anew what follows from its fields; pydantic's takes it along."""
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
        """What its file says of it."""
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
        """What is around the worker that has loaded it."""
        return self._surroundings

    @property
    def warnings(self) -> list[str]:
        """What is valid and yet perhaps not meant, as `field: sentence`."""
        warnings = [*regulation_warnings(self.regulations)]
        if not self.replaces_record:  # or what is emptied is erased
            warnings += emptied_warnings(self.mappings)
        warnings += device_warnings(self.payload_mode, self.events, self.surroundings)
        return [f"{name}: {sentence}" for name, sentence in warnings]

    def identity_rule(self, identifier: UserIdentifier) -> IdentityRule:
        """The rule of `identifier` with its defaults filled in."""
        rule = self.identities.get(identifier, IdentityRule())
        default_namespace = None
        if identifier == "email":
            hashed = rule.normalisation == "sha256"
            default_namespace = "Email_LC_SHA256" if hashed else "Email"
        return rule.model_copy(
            update={
                "path": rule.path or DEFAULT_PATHS[identifier],
                "namespace": rule.namespace or default_namespace,
            }
        )

    @field_validator("event_time_path")
    @classmethod
    def _event_time_path_is_usable(cls, value: str | None) -> str | None:
        return value if value is None else check_path(value)

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
