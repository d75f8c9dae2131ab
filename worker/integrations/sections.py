"""The sections of an integration but its mappings: credentials, properties, identities, limits."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, get_args

from pydantic import BeforeValidator, Field, SecretStr, WithJsonSchema, field_validator

from worker.integrations.text_fields import Strict, Text, Token
from worker.integrations.xdm_paths import check_path

UserIdentifier = Literal["email", "id", "personID"]
Normalisation = Literal["trim", "lower", "sha256"]

DEFAULT_SCOPES: Final = (
    "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"
)
DEFAULT_PATHS: Final[dict[UserIdentifier, str]] = {
    "email": "personalEmail.address",
    "id": "_id",
    "personID": "personID",
}
ADOBE_ORGANIZATION: Final = "@AdobeOrg"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Authentication(Strict):
    """Credentials of Adobe's OAuth server-to-server flow."""

    client_id: Token = Field(repr=False)
    client_secret: SecretStr
    api_key: SecretStr
    second_client_secret: SecretStr | None = None
    """Valid beside the first while a secret is being rotated; tried when the first is refused."""
    scopes: Text = DEFAULT_SCOPES

    @field_validator("client_secret", "api_key", "second_client_secret", mode="after")
    @classmethod
    def _is_one_line(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        secret = value.get_secret_value()
        if not secret.strip():
            raise ValueError("must not be empty")
        if _CONTROL.search(secret):
            raise ValueError(
                "holds a line break or another control character: put in the secret alone, on one "
                "line"
            )
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


class IdentityRule(Strict):
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
        return value if value is None else check_path(value)


class Limits(Strict):
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


_IDENTIFIER_SCHEMA: Final = {"enum": list(get_args(UserIdentifier))}


def one_or_more(value: object) -> object:
    """A field that is a text, as a list of one; anything else as it is."""
    return [value] if isinstance(value, str) else value


class Properties(Strict):
    """The customer's Adobe organization and the dataflow that takes the records."""

    organization_id: Token
    """Adobe's id of the organization; ends in @AdobeOrg."""
    dataflow_endpoint: Token
    """The streaming endpoint as Adobe shows it: https://dcs.adobedc.net/collection/<id>."""
    dataflow_id: Token
    schema_id: Token
    """The `$id` of the schema, https://ns.adobe.com/<tenant>/schemas/<id>."""
    dataset_id: Token
    user_identifier: Annotated[
        list[UserIdentifier],
        BeforeValidator(one_or_more),
        Field(min_length=1),
        WithJsonSchema(
            {
                "anyOf": [
                    _IDENTIFIER_SCHEMA,
                    {"type": "array", "items": _IDENTIFIER_SCHEMA, "minItems": 1},
                ]
            }
        ),
    ]
    """What the person is known by at Adobe, by preference: the first one that an event has."""

    @field_validator("organization_id")
    @classmethod
    def _is_adobes(cls, value: str) -> str:
        if not value.endswith(ADOBE_ORGANIZATION) or value == ADOBE_ORGANIZATION:
            raise ValueError(
                f"must be Adobe's id of the organization, which ends in {ADOBE_ORGANIZATION}; "
                "Didomi's stands in the outer organization_id"
            )
        return value

    @field_validator("dataflow_endpoint")
    @classmethod
    def _is_a_single_endpoint(cls, value: str) -> str:
        if re.search(r"[?#]", value):
            raise ValueError(
                "must end before the ? or #: copy the streaming endpoint as Adobe shows it"
            )
        if re.search(r"/collection/batch(/|$)", value):
            raise ValueError(
                "is the endpoint for batches: leave /batch out; the worker forms batches itself"
            )
        if re.search(r"/collection/?$", value):
            raise ValueError(
                "lacks the id of the inlet behind /collection/: copy the streaming endpoint as "
                "Adobe shows it"
            )
        return value

    @field_validator("user_identifier")
    @classmethod
    def _no_repetition(cls, value: list[UserIdentifier]) -> list[UserIdentifier]:
        if len(set(value)) != len(value):
            raise ValueError("names an identifier twice: take one out")
        return value
