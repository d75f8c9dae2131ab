"""Names that settings had before: read for one more minor version, and named with the new one."""

from __future__ import annotations

import os
from typing import Final

from worker.environment_variables import PREFIX
from worker.settings.unusable_settings import UnusableSetting

OLD_NAMES: Final = {
    "CONSENT_WORKER_ATTEMPT_TIMEOUT": "attempt_timeout_seconds",
    "CONSENT_WORKER_HEARTBEAT": "heartbeat_seconds",
    "CONSENT_WORKER_ORDERING_RETENTION": "ordering_retention_seconds",
    "CONSENT_WORKER_PUBLISH_TIMEOUT": "publish_timeout_seconds",
    "CONSENT_WORKER_REDIS_URL": "state_url",
    "CONSENT_WORKER_RETRY_BUDGET": "retry_budget_seconds",
    "CONSENT_WORKER_SETUP_PATIENCE": "block_patience_seconds",
    "CONSENT_WORKER_SETUP_PROBE": "block_probe_seconds",
    "CONSENT_WORKER_SHUTDOWN_TIMEOUT": "shutdown_timeout_seconds",
}
"""The setting that each old name of a variable stands for."""


def old_names_in_use() -> list[str]:
    """A sentence for each old name of a setting that the environment still has."""
    return [
        f"{old} is now {PREFIX}{new.upper()}; the old name goes with the next minor version"
        for old, new in OLD_NAMES.items()
        if old in os.environ
    ]


def read_old_names() -> dict[str, str]:
    """What is said by old names, by setting. Raises `UnusableSetting` where the new name says
    something else.
    """
    given = {old: new for old, new in OLD_NAMES.items() if old in os.environ}
    for old, new in given.items():
        name = f"{PREFIX}{new.upper()}"
        if os.environ.get(name, os.environ[old]) != os.environ[old]:
            raise UnusableSetting(f"{old} is the old name of {name}; they say different things")
    return {new: os.environ[old] for old, new in given.items()}
