"""How a process stops, what it logs, and where its health and metrics are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from worker.settings.value_bounds import LONGEST_SECONDS


class ProcessSettings(BaseModel):
    """How a process stops, what it logs, and where its health and metrics are."""

    shutdown_timeout_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=LONGEST_SECONDS,
            description="Seconds that a stop waits for answers of requests under way. What is in "
            "hand is given back after one.",
        ),
    ] = 25.0
    http_host: Annotated[str, Field(description="Address of health and metrics.")] = "0.0.0.0"
    http_port: Annotated[
        int, Field(ge=0, le=65535, description="Port of health and metrics; 0 takes a free one.")
    ] = 8080
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Field(description="`auto` is readable in a terminal and JSON elsewhere."),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="Least level that is logged."),
    ] = "info"
