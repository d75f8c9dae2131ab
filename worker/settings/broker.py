"""Where RabbitMQ is, what is declared and taken there, and how its connections are watched."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from worker.settings.value_bounds import LONGEST_SECONDS, check_url

DelayKind = Literal["native", "plugin"]


class BrokerSettings(BaseModel):
    """Where RabbitMQ is, what is declared and taken there, and how its connections are watched."""

    amqp_url: Annotated[
        SecretStr, Field(description="RabbitMQ, as amqp:// or amqps:// URL with its credentials.")
    ] = SecretStr("amqp://guest:guest@localhost:5672/")
    namespace: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="Prefix of the names of all exchanges and queues.",
        ),
    ] = "consent"
    delay: Annotated[
        DelayKind,
        Field(description="Kind of delayed exchange: `native` (no plugin) or `plugin`."),
    ] = "native"
    prefetch_events: Annotated[
        int, Field(ge=1, le=2000, description="Unacknowledged fresh events per worker.")
    ] = 2000
    prefetch_retries: Annotated[
        int,
        Field(
            ge=1,
            le=2000,
            description="Unacknowledged due retries per worker, and so how many events it "
            "begins that fail: all of them may be due at once.",
        ),
    ] = 2000
    delivery_limit: Annotated[
        int,
        Field(
            ge=5,
            description="Returns after which the broker itself dead-letters a message "
            "(x-delivery-limit of the queues).",
        ),
    ] = 20
    publish_timeout_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=LONGEST_SECONDS,
            description="Seconds without a confirm after which the publishing connection is opened "
            "anew; not while the broker has an alarm.",
        ),
    ] = 60.0
    heartbeat_seconds: Annotated[
        int, Field(ge=1, le=60, description="AMQP heartbeat in seconds.")
    ] = 2
    watch_seconds: Annotated[
        float,
        Field(gt=0, le=LONGEST_SECONDS, description="How often queues and consumers are checked."),
    ] = 5.0

    @field_validator("amqp_url")
    @classmethod
    def _is_amqp(cls, value: SecretStr) -> SecretStr:
        check_url(value.get_secret_value(), "amqp", "amqps")
        return value
