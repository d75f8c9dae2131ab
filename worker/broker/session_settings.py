"""The settings that a session uses, of all that a worker has."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings import WorkerSettings
from worker.wire.connecting import BrokerAddress


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The settings of a session. A worker without a shared store `needs_lock`: it consumes only
    while it has that. One whose publishes can't be mandatory `rebinds` at each check.
    """

    address: BrokerAddress
    prefetch_events: int
    prefetch_retries: int
    max_event_bytes: int
    publish_timeout_seconds: float
    watch_seconds: float
    shutdown_timeout_seconds: float
    needs_lock: bool
    rebinds: bool

    @classmethod
    def of(cls, settings: WorkerSettings) -> SessionSettings:
        """The settings of a worker's sessions."""
        return cls(
            address=address_of(settings),
            prefetch_events=settings.prefetch_events,
            prefetch_retries=settings.prefetch_retries,
            max_event_bytes=settings.max_event_bytes,
            publish_timeout_seconds=settings.publish_timeout_seconds,
            watch_seconds=settings.watch_seconds,
            shutdown_timeout_seconds=settings.shutdown_timeout_seconds,
            needs_lock=settings.state_kind != "redis",
            rebinds=settings.delay == "plugin",
        )


def address_of(settings: WorkerSettings) -> BrokerAddress:
    """Where the broker of a worker or a command is."""
    return BrokerAddress(settings.amqp_url, settings.heartbeat_seconds)
