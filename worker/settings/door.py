"""How Didomi's webhooks come in: where the door listens, whom it lets in, how soon it answers."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from worker.settings.value_bounds import check_ends

LEAST_SECRET_CHARACTERS: Final = 32
"""Nobody guesses so many, however often they may try: so who knows the secret is never locked out
because others have guessed."""


class DoorSettings(BaseModel):
    """How Didomi's webhooks come in: where the door listens, whom it lets in, how soon it answers.

    Which of the secrets are needed together only the door itself judges.
    """

    door_host: Annotated[
        str, Field(description="Address at which `consent-worker receive` takes webhooks.")
    ] = "0.0.0.0"
    door_port: Annotated[
        int, Field(ge=0, le=65535, description="Its port; 0 takes a free one.")
    ] = 8091
    door_client_id: Annotated[
        str,
        Field(
            max_length=256,
            description="Client id by which Didomi asks the door for a token (OAuth2 client "
            "credentials). Empty: there are no tokens.",
        ),
    ] = ""
    door_client_secret: Annotated[
        SecretStr,
        Field(
            description="Its secret, of 32 characters at least, the same in all doors "
            "(`openssl rand -hex 32`); it signs the tokens, too."
        ),
    ] = SecretStr("")
    door_client_secret_previous: Annotated[
        SecretStr | None,
        Field(description="The secret before, which still counts while it is changed. None: none."),
    ] = None
    door_header_name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9-]{0,64}$",
            description="Name of a header that proves that Didomi asks, in place of a token, or "
            "beside it. Empty: there is none.",
        ),
    ] = ""
    door_header_secret: Annotated[
        SecretStr, Field(description="What that header says, of 32 characters at least.")
    ] = SecretStr("")
    door_header_secret_previous: Annotated[
        SecretStr | None,
        Field(description="What it said before, which still counts meanwhile. None: nothing."),
    ] = None
    door_trusted_proxies: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Addresses and networks of the proxies before the door, comma-separated; "
            "only these are believed what `X-Forwarded-For` says."
        ),
    ] = ()
    door_answer_seconds: Annotated[
        float,
        Field(
            ge=0.5,
            le=60,
            description="Seconds within which every webhook is answered, from its first byte; "
            "below what Didomi, and the proxy before the door, wait for.",
        ),
    ] = 5.0

    @field_validator(
        "door_client_secret",
        "door_client_secret_previous",
        "door_header_secret",
        "door_header_secret_previous",
    )
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and 0 < len(value.get_secret_value()) < LEAST_SECRET_CHARACTERS:
            raise ValueError(
                f"must have {LEAST_SECRET_CHARACTERS} characters at least: openssl rand -hex 32"
            )
        if value is not None:
            check_ends(value.get_secret_value())
        return value

    @field_validator("door_client_id")
    @classmethod
    def _has_visible_ends(cls, value: str) -> str:
        check_ends(value)
        return value

    @field_validator("door_trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = tuple(part for raw in value.split(",") if (part := raw.strip()))
        for one in value if isinstance(value, tuple) else ():
            try:
                ip_network(one, strict=False)
            except ValueError:
                raise ValueError(
                    "must be addresses or networks, comma-separated: 10.0.0.7,10.1.0.0/16"
                ) from None
        return value
