"""Where the state of newest-wins is kept, by the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from worker.ordering.lasting_store import LastingStore
from worker.ordering.memory_store import MemoryStore
from worker.ordering.sealed_values import Seals
from worker.ordering.store_protocol import NewestStore, Timing
from worker.ordering.user_digests import Marks, UserKeys
from worker.settings import UnusableSetting, WorkerSettings

LEASE_MARGIN_SECONDS: Final = 30.0
"""How much longer a lease is than an attempt may take."""


def user_keys(settings: WorkerSettings) -> UserKeys:
    """How users are called in the state."""
    return UserKeys(*_secrets(settings))


def seals(settings: WorkerSettings) -> Seals:
    """How what a user has chosen is kept in the state."""
    return Seals(*_secrets(settings))


def _secrets(settings: WorkerSettings) -> tuple[bytes, bytes | None]:
    """The present and the previous one. What one process keeps in memory is never rotated."""
    secret = settings.ordering_secret.get_secret_value().encode()
    previous = settings.ordering_secret_previous if settings.state_kind != "memory" else None
    return secret, None if previous is None else previous.get_secret_value().encode()


def build_store(settings: WorkerSettings) -> NewestStore:
    """The store of a worker's state. Raises `UnusableSetting`."""
    store = lasting_store(settings, user_keys(settings).marks)
    if store is not None:
        return store
    return MemoryStore(_timing(settings), settings.ordering_max_users)


def lasting_store(
    settings: WorkerSettings, marks: Marks | None, *, is_worker: bool = True
) -> LastingStore | None:
    """The state that outlives its workers, if there is one; `marks` are those of the secrets, None
    for who asks for no user. `is_worker` is false for a command beside it. Raises
    `UnusableSetting`.
    """
    url, timing = settings.state_url.get_secret_value(), _timing(settings)
    if settings.state_kind == "memory":
        return None
    if settings.state_kind == "sqlite":
        path = Path(url.removeprefix("sqlite://"))
        if not path.parent.is_dir():
            raise UnusableSetting(
                "setting CONSENT_WORKER_STATE_URL: the directory of the file is not there; make it "
                "on a disk that stays"
            )
        # Each with its library when it is asked for: a worker without it is megabytes smaller.
        from worker.ordering.sqlite_store import SqliteStore  # noqa: PLC0415

        return SqliteStore(path, timing, marks=marks, is_worker=is_worker)
    from worker.ordering.redis_store import RedisStore  # noqa: PLC0415

    try:
        return RedisStore(url, timing, namespace=settings.namespace, marks=marks)
    except ValueError as error:
        raise UnusableSetting(f"setting CONSENT_WORKER_STATE_URL: {error}") from None


def _timing(settings: WorkerSettings) -> Timing:
    return Timing(
        settings.longest_attempt_seconds + LEASE_MARGIN_SECONDS, settings.ordering_retention_seconds
    )
