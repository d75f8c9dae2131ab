"""One customer's integration, in Didomi's own JSON form plus what a multi-customer worker needs.

The form of `authentication`, `properties`, `mappings` and `upsert_mode` is Didomi's:
https://developers.didomi.io/integrations/third-party-apps/adobe-experience-cloud
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from worker.integrations.paths import (
    MOST_CHARACTERS,
    check_attribute_path,
    check_mapping_value,
    do_collide,
    find_path_conflict,
)

UserIdentifier = Literal["email", "id", "personID"]
Normalisation = Literal["trim", "lower", "sha256"]
PayloadMode = Literal["upsert", "xdm"]
EventSource = Literal["event", "user"]
IntegrationState = Literal["enabled", "paused", "disabled"]
Missing = Literal["broken", "gone"]
"""Why an integration can't have its events now: no version is valid, or its file is gone."""

Text = Annotated[
    str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS, strip_whitespace=True)
]
# A value that ends up in an HTTP header or a log field: no control characters, no blanks.
Token = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]+$")]

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
MOST_MAPPINGS: Final = 1000
"""Each is an argument of a script in Redis, whose Lua can unpack some 4,000 at once."""
DEFAULT_SCOPES = "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"


class _Strict(BaseModel):
    # hide_input: the offending value may be a secret; the field and the rule are enough to mend it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class Authentication(_Strict):
    """Credentials of Adobe's OAuth server-to-server flow."""

    client_id: Token = Field(repr=False)
    client_secret: SecretStr
    api_key: SecretStr
    second_client_secret: SecretStr | None = None
    """Valid beside the first while a secret is being rotated; tried when the first is refused."""
    scopes: Text = DEFAULT_SCOPES

    @field_validator("client_secret", "api_key", "second_client_secret", mode="after")
    @classmethod
    def _not_empty(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("must not be empty")
        return value

    @field_validator("api_key", mode="after")
    @classmethod
    def _fits_a_header(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]{1,4096}", value.get_secret_value()):
            raise ValueError("must be 1 to 4096 printable ASCII characters without blanks")
        return value

    def client_secrets(self) -> list[str]:
        """The secrets that a token may be asked for with, the first one first."""
        both = (self.client_secret, self.second_client_secret)
        return [one.get_secret_value() for one in both if one is not None]


class IdentityRule(_Strict):
    """Where one kind of identifier goes in the XDM record, and how its value is written."""

    path: Text | None = None
    """Dotted XDM path of the field. None: the default of the identifier."""
    namespace: Text | None = None
    """Identity namespace code, as needed by the profile look-up and by identityMap."""
    location: Literal["field", "identity-map"] = "field"
    normalisation: Normalisation = "trim"

    @field_validator("path")
    @classmethod
    def _path_is_usable(cls, value: str | None) -> str | None:
        if value is not None:
            check_attribute_path(value)
        return value


_DEFAULT_PATHS: dict[UserIdentifier, str] = {
    "email": "personalEmail.address",
    "id": "_id",
    "personID": "personID",
}


class Limits(_Strict):
    """What one integration may use of a worker."""

    requests_in_flight: Annotated[int, Field(ge=1, le=256)] = 8
    """At most; fewer while the endpoint is in trouble."""
    messages_per_request: Annotated[int, Field(ge=1, le=1000)] = 200
    """1 sends each message alone, to the single endpoint."""
    events_held: Annotated[int, Field(ge=1, le=2000)] = 2000
    """Messages in hand of a worker; what is more is parked. Never more than its share of them."""
    requests_per_second: Annotated[float, Field(ge=0.1, le=10_000)] | None = None
    """Not less: an event would wait for its request longer than a worker may hold it."""
    profile_gap_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    """Pause between two messages for one profile, which Adobe may else resolve either way."""


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Properties(_Strict):
    """The customer's Adobe organization and the dataflow that takes the records."""

    organization_id: Token
    dataflow_endpoint: Token
    dataflow_id: Token
    schema_id: Token
    dataset_id: Token
    user_identifier: Annotated[
        list[UserIdentifier], BeforeValidator(_one_or_more), Field(min_length=1)
    ]

    @field_validator("user_identifier")
    @classmethod
    def _no_repetition(cls, value: list[UserIdentifier]) -> list[UserIdentifier]:
        if len(set(value)) != len(value):
            raise ValueError("names an identifier twice")
        return value


class Mapping(_Strict):
    """`value` (a path of the event) goes to `id` (a dotted path of the XDM record)."""

    id: Text
    value: Text
    format: Literal["as-is", "consent-val"] = "as-is"
    """`consent-val` writes true as {"val": "y"} and false as {"val": "n"}, Adobe's consent type."""

    @field_validator("id")
    @classmethod
    def _id_is_a_path(cls, value: str) -> str:
        check_attribute_path(value)
        return value

    @field_validator("value")
    @classmethod
    def _value_can_match(cls, value: str) -> str:
        check_mapping_value(value)
        return value

    @model_validator(mode="after")
    def _format_fits(self) -> Self:
        if self.format == "consent-val" and not self.value.endswith(("_enabled", "_enabled_li")):
            raise ValueError("format consent-val needs a value that ends in _enabled")
        return self


class Integration(_Strict):
    """One integration of type `adobe-experience-cloud`: enabled, paused or disabled."""

    id: Annotated[str, StringConstraints(pattern=ID_PATTERN)]
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

    payload_mode: PayloadMode = "upsert"
    events: EventSource = "event"
    regulations: Annotated[list[Text], Field(min_length=1)] = ["gdpr"]
    source_name: Text = "Didomi"
    sandbox_name: Token | None = None
    authenticated: bool = True
    """Whether the inlet wants a bearer token (the toggle Authentication of the dataflow)."""
    schema_content_type: Text = "application/vnd.adobe.xed-full+json;version=1"
    identities: dict[UserIdentifier, IdentityRule] = {}
    merge_policy_id: Token | None = None
    identity_dataset_id: Token | None = None
    event_time_path: Text | None = None
    """Dotted XDM path that gets the time of the newest choice, such as
    `extSourceSystemAudit.lastUpdatedDate`."""
    limits: Limits = Limits()

    @cached_property
    def wanted_values(self) -> frozenset[str]:
        """All mapping values."""
        return frozenset(mapping.value for mapping in self.mappings)

    @cached_property
    def identity_rules(self) -> tuple[tuple[UserIdentifier, IdentityRule], ...]:
        """The configured identifiers in their order, with the defaults of their rules filled in."""
        return tuple((one, self.identity_rule(one)) for one in self.properties.user_identifier)

    @cached_property
    def content_digest(self) -> str:
        """The same for two that differ in nothing but id, credentials, limits and state."""
        own = {"id", "enabled", "paused", "authentication", "limits"}
        return hashlib.sha256(self.model_dump_json(exclude=own).encode()).hexdigest()[:16]

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

    @property
    def replaces_record(self) -> bool:
        """Whether a message replaces the whole record at Adobe instead of updating part of it."""
        return self.payload_mode == "xdm"

    def identity_rule(self, identifier: UserIdentifier) -> IdentityRule:
        """The rule of `identifier` with its defaults filled in."""
        rule = self.identities.get(identifier, IdentityRule())
        default_namespace = None
        if identifier == "email":
            hashed = rule.normalisation == "sha256"
            default_namespace = "Email_LC_SHA256" if hashed else "Email"
        return rule.model_copy(
            update={
                "path": rule.path or _DEFAULT_PATHS[identifier],
                "namespace": rule.namespace or default_namespace,
            }
        )

    @field_validator("event_time_path")
    @classmethod
    def _event_time_path_is_usable(cls, value: str | None) -> str | None:
        if value is not None:
            check_attribute_path(value)
        return value

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _contradictions(self) -> Iterable[str]:
        ids = [mapping.id for mapping in self.mappings]
        for repeated in sorted(one for one, count in Counter(ids).items() if count > 1):
            yield f"mappings: two entries write to {repeated!r}"
        if conflict := find_path_conflict(set(ids)):
            yield f"mappings: {conflict[0]!r} and {conflict[1]!r} can't both be written"
        if self.payload_mode == "xdm" and self.events == "event":
            yield (
                'payload_mode: "xdm" replaces the whole record at Adobe, while event.* carry only '
                'the choices just made: every send would erase the others. Use "upsert", or set '
                'events to "user" to send whole snapshots'
            )
        if self.event_time_path is not None:
            taken = set(ids) | {rule.path or "" for _, rule in self.identity_rules}
            # One by one: identities may lie within each other, since a message has one of them.
            if any(do_collide(path, self.event_time_path) for path in taken):
                yield f"event_time_path: collides with another path ({self.event_time_path!r})"
        for identifier in self.properties.user_identifier:
            yield from self._identity_contradictions(identifier, set(ids))

    def _identity_contradictions(
        self, identifier: UserIdentifier, attribute_paths: set[str]
    ) -> Iterable[str]:
        rule = self.identity_rule(identifier)
        if self.needs_lookup and rule.namespace is None:
            yield (
                f"identities.{identifier}.namespace: is required when upsert_mode is false, since "
                "the profile look-up asks by identity namespace"
            )
        if rule.location == "identity-map":
            if rule.namespace is None:
                yield f"identities.{identifier}.namespace: is required for location identity-map"
            if any(path.split(".")[0] == "identityMap" for path in attribute_paths):
                yield f"mappings: identityMap carries the identity {identifier!r}"
            return
        path = rule.path or ""
        if any(do_collide(path, one) for one in attribute_paths):
            yield f"mappings: an entry collides with {path!r}, which carries the identity"
