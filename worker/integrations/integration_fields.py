"""The fields of one customer's integration: Didomi's own form in JSON, and what the worker adds.

The form of `authentication`, `properties`, `mappings` and `upsert_mode` is Didomi's:
https://developers.didomi.io/integrations/third-party-apps/adobe-experience-cloud
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, field_validator

from worker.integrations.attribute_mapping import Mapping
from worker.integrations.sections import (
    DEFAULT_PATHS,
    Authentication,
    IdentityRule,
    Limits,
    Properties,
    UserIdentifier,
)
from worker.integrations.text_fields import ID_PATTERN, OrganizationId, Strict, Text, Token
from worker.integrations.xdm_paths import check_path

PayloadMode = Literal["auto", "upsert", "xdm"]
EventSource = Literal["event", "user"]

MOST_MAPPINGS: Final = 1000
"""Each is an argument of a script in Redis, whose Lua can unpack some 4,000 at once."""


class IntegrationFields(Strict):
    """What the file of an `Integration` says, and what is known of it by single fields alone. Each
    field is right by itself; whether they fit together is looked at by `Integration`.
    """

    id: Annotated[str, StringConstraints(pattern=ID_PATTERN)]
    """How logs, metrics and commands call it; without one, the name of the file."""
    organization_id: OrganizationId
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

    @cached_property
    def identity_rules(self) -> tuple[tuple[UserIdentifier, IdentityRule], ...]:
        """The configured identifiers in their order, with the defaults of their rules filled in."""
        return tuple((one, self.identity_rule(one)) for one in self.properties.user_identifier)

    @cached_property
    def content_digest(self) -> str:
        """The same for two integrations that differ only in id, credentials, limits and state."""
        own = {"id", "enabled", "paused", "authentication", "limits"}
        return hashlib.sha256(self.model_dump_json(exclude=own).encode()).hexdigest()[:16]

    @cached_property
    def version(self) -> str:
        """The same for two integrations that differ only in credentials; 12 hexadecimal digits."""
        text = self.model_dump_json(exclude={"authentication"})
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def decision_digest(self) -> str:
        """The same for two integrations at which all events have the same to say of the same person
        in the same place.
        """
        own = {"mappings", "identities", "events", "regulations"}
        text = self.model_dump_json(include=own) + repr(self.properties.user_identifier)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def inlet_digest(self) -> str:
        """The same for two integrations that send to the same inlet of the same dataflow."""
        own = self.properties
        parts = (own.organization_id, own.dataflow_endpoint, own.dataflow_id, self.sandbox_name)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @cached_property
    def target_digest(self) -> str:
        """The same for two integrations whose choices come to the same place at Adobe."""
        own = self.properties
        parts = (
            self.organization_id,
            own.organization_id,
            own.dataset_id,
            own.dataflow_endpoint,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def identity_rule(self, identifier: UserIdentifier) -> IdentityRule:
        """The identity rule of `identifier` with its defaults filled in."""
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
