"""Which hosts of Adobe may be called."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode


class AdobeSettings(BaseModel):
    """Which hosts of Adobe may be called."""

    ims_url: Annotated[
        str, Field(description="Adobe's token endpoint; checked as a dataflow endpoint is.")
    ] = "https://ims-na1.adobelogin.com/ims/token/v3"
    platform_url: Annotated[
        str, Field(description="Base of Adobe's profile look-up; checked likewise.")
    ] = "https://platform.adobe.io"
    allowed_hosts: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Hosts a dataflow endpoint may have, comma-separated: `name`, `name:port`, "
            "or `*.domain` for every host below a domain."
        ),
    ] = ("dcs.adobedc.net", "*.adobedc.net")
    allow_insecure: Annotated[
        bool,
        Field(
            description="Allow plain http and private addresses. For local use only: workers have "
            "a note in `/readyz` while it is set."
        ),
    ] = False
    check_set_up: Annotated[
        bool,
        Field(
            description="Check each integration's set-up at Adobe at the start and when it "
            "changes; what is wrong is a note in `/readyz`."
        ),
    ] = False

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        if isinstance(value, str):
            parts = value.strip().strip("[]").split(",")
            return tuple(part for raw in parts if (part := raw.strip().strip("\"'").lower()))
        return value
