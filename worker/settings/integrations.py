"""Where integrations and their secrets are read, and what becomes of events without one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from worker.settings.value_bounds import LONGEST_SECONDS


class IntegrationSettings(BaseModel):
    """Where integrations and their secrets are read, and what becomes of events without one."""

    integrations: Annotated[
        Path, Field(description="Directory with one JSON file per integration.")
    ] = Path("integrations")
    integration_grace_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=LONGEST_SECONDS,
            description="Seconds for which an integration stays in force after its file is gone.",
        ),
    ] = 600.0
    unknown_organization: Annotated[
        Literal["skip", "park"],
        Field(
            description="What becomes of events whose organization has no integration: `skip`, "
            "except in doubt, or `park` always."
        ),
    ] = "skip"
    secret_directories: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Directories below which `file:` secrets may lie, comma-separated; a "
            "relative one starts at the directory of the integration's file."
        ),
    ] = (".", "/run/secrets", "/var/run/secrets")
    secret_env_prefix: Annotated[
        str,
        Field(
            description="Prefix of the variables that `${NAME}` may name; without one all but "
            "`CONSENT_WORKER_*`."
        ),
    ] = ""
    reload_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=LONGEST_SECONDS,
            description="How often changed integration files are looked for.",
        ),
    ] = 2.0

    @field_validator("secret_directories", mode="before")
    @classmethod
    def _split_directories(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part for raw in value.split(",") if (part := raw.strip()))
        return value

    @field_validator("integrations", mode="before")
    @classmethod
    def _is_said(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("is empty; name a directory")
        return value
