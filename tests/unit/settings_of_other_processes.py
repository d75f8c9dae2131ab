"""Settings and commands of processes that are built beside the workers, by their names."""

from __future__ import annotations

from typing import Final

DOOR: Final = frozenset(
    {
        "CONSENT_WORKER_DOOR_CLIENT_ID",
        "CONSENT_WORKER_DOOR_CLIENT_SECRET",
        "CONSENT_WORKER_DOOR_HEADER_NAME",
        "CONSENT_WORKER_DOOR_HEADER_SECRET",
        "CONSENT_WORKER_DOOR_HOST",
        "CONSENT_WORKER_DOOR_PORT",
    }
)
CONSOLE: Final = frozenset(
    {
        "CONSENT_WORKER_CONSOLE_HOST",
        "CONSENT_WORKER_CONSOLE_OPERATOR_KEY",
        "CONSENT_WORKER_CONSOLE_PORT",
        "CONSENT_WORKER_CONSOLE_REVEALER_KEY",
        "CONSENT_WORKER_CONSOLE_VIEWER_KEY",
    }
)
SETTINGS: Final = DOOR | CONSOLE
COMMANDS: Final = frozenset({"receive", "console"})
