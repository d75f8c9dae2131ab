"""Settings of the process, from environment variables that start with CONSENT_WORKER_.

A duration says its unit in its name (`_SECONDS`), a size likewise (`_BYTES`, `_EVENTS`).
"""

from worker.settings.broker import (
    DEFAULT_EVENT_QUEUES,
    MOST_EVENT_QUEUES,
    DelayKind,
    event_queue_problem,
)
from worker.settings.value_bounds import UnusableSetting
from worker.settings.worker_settings import (
    OLD_NAMES,
    WorkerSettings,
    judge_environment,
    old_names_in_use,
    unknown_in_use,
)

__all__ = [
    "DEFAULT_EVENT_QUEUES",
    "MOST_EVENT_QUEUES",
    "OLD_NAMES",
    "DelayKind",
    "UnusableSetting",
    "WorkerSettings",
    "event_queue_problem",
    "judge_environment",
    "old_names_in_use",
    "unknown_in_use",
]
