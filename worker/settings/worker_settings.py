"""All settings of the process, from environment variables that start with CONSENT_WORKER_, old
names included.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.environment_variables import PREFIX, Judgement, is_link, judge
from worker.settings.adobe import AdobeSettings
from worker.settings.broker import BrokerSettings
from worker.settings.console import ConsoleSettings
from worker.settings.delivery import DeliverySettings
from worker.settings.door import DoorSettings
from worker.settings.integrations import IntegrationSettings
from worker.settings.ledger import LedgerSettings
from worker.settings.process import ProcessSettings
from worker.settings.receipts import ReceiptSettings
from worker.settings.state import StateSettings
from worker.settings.value_bounds import UnusableSetting

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
    """The values that old names of settings have, by setting. Raises `UnusableSetting` where the
    new name says something else.
    """
    given = {old: new for old, new in OLD_NAMES.items() if old in os.environ}
    for old, new in given.items():
        name = f"{PREFIX}{new.upper()}"
        if os.environ.get(name, os.environ[old]) != os.environ[old]:
            raise UnusableSetting(f"{old} is the old name of {name}; they say different things")
    return {new: os.environ[old] for old, new in given.items()}


class WorkerSettings(
    ConsoleSettings,
    ProcessSettings,
    DeliverySettings,
    DoorSettings,
    LedgerSettings,
    StateSettings,
    AdobeSettings,
    IntegrationSettings,
    ReceiptSettings,
    BrokerSettings,
    BaseSettings,
):
    """All settings; each has a default that suits production, except where the stack is local."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        hide_input_in_errors=True,
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[Any, ...]:
        return init_settings, partial(_from_environment, env_settings), read_old_names


def judge_environment() -> Judgement:
    """What the environment variables of this process are to the settings."""
    known = {f"{PREFIX}{name.upper()}" for name in WorkerSettings.model_fields} | set(OLD_NAMES)
    return judge(os.environ, known, os.environ.get(f"{PREFIX}SECRET_ENV_PREFIX", ""))


def unknown_in_use(judgement: Judgement) -> list[str]:
    """A sentence for each variable that looks like a setting and is none."""
    return [f"{name} is no setting and has no effect" for name in judgement.unknown]


def _from_environment(source: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the environment says, without what Kubernetes has put there. Raises `UnusableSetting`
    for a name that is a slip of the pen from a setting's.
    """
    if mistaken := judge_environment().mistaken:
        raise UnusableSetting(
            "; ".join(f"{name} is no setting; did you mean {meant}?" for name, meant in mistaken)
        )
    return {
        name: value
        for name, value in source().items()
        if not (isinstance(value, str) and is_link(name.upper(), value, is_setting=True))
    }
