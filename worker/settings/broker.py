"""Where RabbitMQ is, what is declared and taken there, and how its connections are watched."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from worker.settings.value_bounds import LONGEST_SECONDS, check_url

DelayKind = Literal["native", "plugin"]

DEFAULT_EVENT_QUEUES: Final = ("events",)
MOST_EVENT_QUEUES: Final = 16
"""Each has a channel of every worker, and a part of its prefetch; so many quorum queues have
leaders on all nodes of any cluster."""
OTHER_QUEUES: Final = frozenset(
    {
        *("dead-letters", "delay", "event-queues", "events", "migrating", "parked", "receipts"),
        *("retries", "retry", "single-worker", "suspects"),
    }
)
"""No `events.NAME` may end so: it would be a queue of the namespace `NAMESPACE.events`, or what
`topology migrate` puts aside."""
_EVENT_QUEUE: Final = re.compile(r"events(\.[A-Za-z0-9][A-Za-z0-9_-]{0,63})?")


def event_queue_problem(name: str) -> str | None:
    """What is wrong with the name of an event queue, to be said after what it is called in."""
    if not _EVENT_QUEUE.fullmatch(name):
        return (
            "must be events, or events. and 1 to 64 letters, digits, - and _, as in "
            "events,events.2,events.3"
        )
    if name != "events" and name.removeprefix("events.") in OTHER_QUEUES:
        return "ends as another queue does: call it otherwise, such as events.2"
    return None


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
    event_queues: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Queues of fresh events, comma-separated and without the namespace: "
            "`events`, always, and `events.NAME`. Workers take from all of them, each by a part of "
            "the prefetch; the door and `publish` put events on them in turn."
        ),
    ] = DEFAULT_EVENT_QUEUES
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

    @field_validator("event_queues", mode="before")
    @classmethod
    def _split_queues(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(one.strip() for one in value.split(","))
        return value

    @field_validator("event_queues")
    @classmethod
    def _are_queues(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for place, name in enumerate(value, 1):
            if name.startswith(f"{info.data.get('namespace')}.events"):
                raise ValueError(
                    f"name {place} begins with the namespace, which is put before it: leave it out"
                )
            if (problem := event_queue_problem(name)) is not None:
                raise ValueError(f"name {place} {problem}")
            if name in value[: place - 1]:
                raise ValueError(f"names {value.index(name) + 1} and {place} are the same")
        if "events" not in value:
            raise ValueError(
                "must have events beside the others: producers that know of no list, and replayed "
                "dead letters, come by that queue"
            )
        if len(value) > MOST_EVENT_QUEUES:
            raise ValueError(f"must have {MOST_EVENT_QUEUES} names at most")
        if len(value) > info.data.get("prefetch_events", MOST_EVENT_QUEUES):
            raise ValueError(
                "must not have more names than CONSENT_WORKER_PREFETCH_EVENTS says: each gets a "
                "part of these"
            )
        return value
