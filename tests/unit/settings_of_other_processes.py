"""Settings and commands of processes that are built beside the workers, by their names."""

from __future__ import annotations

from typing import Final

SETTINGS: Final = frozenset(
    {
        "CONSENT_WORKER_CONSOLE_HOST",
        "CONSENT_WORKER_CONSOLE_OPERATOR_KEY",
        "CONSENT_WORKER_CONSOLE_PORT",
        "CONSENT_WORKER_CONSOLE_REVEALER_KEY",
        "CONSENT_WORKER_CONSOLE_VIEWER_KEY",
    }
)
COMMANDS: Final = frozenset({"console"})
