"""Settings of the process, from environment variables that start with CONSENT_WORKER_."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from yarl import URL

from worker.environment import PREFIX, Judgement, is_link, judge

DelayKind = Literal["native", "plugin"]
_REDIS_PATH: Final = re.compile(r"/?[0-9]{0,5}")
_SQLITE_URL: Final = re.compile(r"sqlite:///[^?#\x00]+[^/?#\x00]")


OLD_NAMES: Final = {
    "CONSENT_WORKER_SETUP_PROBE": "block_probe_seconds",
    "CONSENT_WORKER_SETUP_PATIENCE": "block_patience_seconds",
    "CONSENT_WORKER_REDIS_URL": "state_url",
}
"""Names of settings that are read for one more minor version; the new name wins."""


LONGEST_SECONDS: Final = 10 * 365 * 86_400.0
"""Of any duration: ten years."""


class UnusableSetting(ValueError):  # noqa: N818 - a statement about the settings
    """A setting can't be used; the text names it and not its value."""


class WorkerSettings(BaseSettings):
    """Every setting has a default that suits production, except where the stack is local."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        hide_input_in_errors=True,
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
    )

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
    integrations: Annotated[
        Path, Field(description="Directory with one JSON file per integration.")
    ] = Path("integrations")
    integration_grace_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=LONGEST_SECONDS,
            description="Seconds for which an integration stays in force after its file is gone.",
        ),
    ] = 600.0
    unknown_organization: Annotated[
        Literal["skip", "park"],
        Field(
            description="What becomes of events whose organization has no integration: `skip`, "
            "except in doubt, or `park` always."
        ),
    ] = "skip"
    secret_directories: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Directories below which `file:` secrets may lie, comma-separated; a "
            "relative one starts at the directory of the integration's file."
        ),
    ] = (".", "/run/secrets", "/var/run/secrets")
    secret_env_prefix: Annotated[
        str,
        Field(
            description="Prefix of the variables that `${NAME}` may name; without one all but "
            "`CONSENT_WORKER_*`."
        ),
    ] = ""
    reload_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=LONGEST_SECONDS,
            description="How often changed integration files are looked for.",
        ),
    ] = 2.0
    ims_url: Annotated[
        str, Field(description="Adobe's token endpoint; checked as a dataflow endpoint is.")
    ] = "https://ims-na1.adobelogin.com/ims/token/v3"
    platform_url: Annotated[
        str, Field(description="Base of Adobe's profile look-up; checked likewise.")
    ] = "https://platform.adobe.io"
    allowed_hosts: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Hosts a dataflow endpoint may have, comma-separated: `name`, `name:port`, "
            "or `*.domain` for every host below a domain."
        ),
    ] = ("dcs.adobedc.net", "*.adobedc.net")
    allow_insecure: Annotated[
        bool,
        Field(description="Allow plain http and private addresses. For local use only."),
    ] = False
    check_set_up: Annotated[
        bool,
        Field(
            description="Check each integration's set-up at Adobe at the start and when it "
            "changes; what is wrong is a note in `/readyz`."
        ),
    ] = False
    retry_budget: Annotated[
        float,
        Field(
            ge=3,
            le=480,
            description="Seconds from the first attempt within which a delivery is retried; "
            "a shorter budget scales the schedule.",
        ),
    ] = 300.0
    delay: Annotated[
        DelayKind,
        Field(description="Kind of delayed exchange: `native` (no plugin) or `plugin`."),
    ] = "native"
    state_url: Annotated[
        SecretStr,
        Field(
            description="Where the state of newest-wins is kept: `redis://` or `rediss://` for a "
            "fleet; `sqlite:///PATH`, a file for one worker; `memory:`, for one worker that may "
            "forget it at each start."
        ),
    ] = SecretStr("memory:")
    ordering_retention: Annotated[
        float,
        Field(
            ge=3600,
            le=LONGEST_SECONDS,
            description="Seconds for which the time of a user's last choice is remembered; must "
            "exceed how long dead letters may wait for their replay.",
        ),
    ] = 30 * 86_400.0
    ordering_secret: Annotated[
        SecretStr,
        Field(
            description="Key of the digests that stand for users, the same in the whole fleet; "
            "required for a new namespace on Redis (`openssl rand -hex 32`)."
        ),
    ] = SecretStr("")
    ordering_secret_previous: Annotated[
        SecretStr | None,
        Field(
            description="The other key while the fleet rotates it; set to nothing, the digests "
            "without one. None: no rotation."
        ),
    ] = None
    ordering_max_users: Annotated[
        int, Field(ge=1000, description="Users remembered by a worker with its state in memory.")
    ] = 100_000
    block_probe_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=LONGEST_SECONDS,
            description="Seconds between two probes of an integration that is blocked for a fault "
            "of its set-up, at first; up to eight times as much later.",
        ),
    ] = 15.0
    block_patience_seconds: Annotated[
        float,
        Field(
            ge=1,
            le=LONGEST_SECONDS,
            description="Seconds for which events of a blocked integration are kept before they "
            "are dead-lettered as `setup-failure`.",
        ),
    ] = 86_400.0
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
    poison_after: Annotated[
        int,
        Field(
            ge=1,
            description="Times a suspect may take its worker down while handled alone "
            "before it is dead-lettered as `poison`.",
        ),
    ] = 5
    attempt_timeout: Annotated[
        float,
        Field(
            gt=0,
            le=120,
            description="Seconds one attempt may take in all (token, look-up, delivery); "
            "never more than a tenth of the retry budget, but at least one second.",
        ),
    ] = 30.0
    unclear_seconds: Annotated[
        float,
        Field(
            ge=1,
            le=480,
            description="Seconds for which Adobe may still carry out a request that got no valid "
            "answer; what is accepted meanwhile is sent again after them.",
        ),
    ] = 120.0
    max_event_bytes: Annotated[
        int, Field(ge=1024, description="Bytes of a message body above which it is dead-lettered.")
    ] = 1_048_576
    publish_timeout: Annotated[
        float,
        Field(
            gt=0,
            le=LONGEST_SECONDS,
            description="Seconds without a confirm after which the publishing connection is opened "
            "anew; not while the broker has an alarm.",
        ),
    ] = 60.0
    heartbeat: Annotated[int, Field(ge=1, le=60, description="AMQP heartbeat in seconds.")] = 2
    watch_seconds: Annotated[
        float,
        Field(gt=0, le=LONGEST_SECONDS, description="How often queues and consumers are checked."),
    ] = 5.0
    shutdown_timeout: Annotated[
        float,
        Field(
            ge=0,
            le=LONGEST_SECONDS,
            description="Seconds that a stop waits for deliveries in flight.",
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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[Any, ...]:
        return init_settings, partial(_from_environment, env_settings), _from_old_names

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        if isinstance(value, str):
            parts = value.strip().strip("[]").split(",")
            return tuple(part for raw in parts if (part := raw.strip().strip("\"'").lower()))
        return value

    @field_validator("secret_directories", mode="before")
    @classmethod
    def _split_directories(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part for raw in value.split(",") if (part := raw.strip()))
        return value

    @field_validator("amqp_url")
    @classmethod
    def _is_amqp(cls, value: SecretStr) -> SecretStr:
        _check_url(value.get_secret_value(), "amqp", "amqps")
        return value

    @field_validator("state_url")
    @classmethod
    def _is_state(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text.startswith("sqlite:"):
            if not _SQLITE_URL.fullmatch(text):
                raise ValueError(
                    "must be sqlite:// and the absolute path of a file, without ? or #: "
                    "sqlite:///var/lib/consent-worker/state.sqlite"
                )
        elif text != "memory:":
            _check_url(text, "redis", "rediss", others=("sqlite:///", "memory:"))
            if not _REDIS_PATH.fullmatch(URL(text).path):
                raise ValueError("must have the number of a database or nothing for a path")
        return value

    @field_validator("integrations", mode="before")
    @classmethod
    def _is_said(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("is empty; name a directory")
        return value

    @property
    def state_kind(self) -> Literal["memory", "sqlite", "redis"]:
        """What keeps the state of newest-wins."""
        text = self.state_url.get_secret_value()
        if text == "memory:":
            return "memory"
        return "sqlite" if text.startswith("sqlite:") else "redis"

    @property
    def attempt_timeout_seconds(self) -> float:
        """Seconds one attempt may take, so that five retries fit even if each of them hangs."""
        return max(1.0, min(self.attempt_timeout, self.retry_budget / 10))


def old_names_in_use() -> list[str]:
    """A sentence for each old name of a setting that the environment still has."""
    return [
        f"{old} is now CONSENT_WORKER_{new.upper()}; the old name goes with the next minor version"
        for old, new in OLD_NAMES.items()
        if old in os.environ
    ]


def judge_environment() -> Judgement:
    """What the variables of this process are to the settings."""
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


def _from_old_names() -> dict[str, Any]:
    """What is said by old names. Raises `UnusableSetting` where the new one says something else."""
    given = {old: new for old, new in OLD_NAMES.items() if old in os.environ}
    for old, new in given.items():
        name = f"{PREFIX}{new.upper()}"
        if os.environ.get(name, os.environ[old]) != os.environ[old]:
            raise UnusableSetting(f"{old} is the old name of {name}; they say different things")
    return {new: os.environ[old] for old, new in given.items()}


def _check_url(text: str, *schemes: str, others: tuple[str, ...] = ()) -> None:
    """Raises ValueError for what is no URL of one of `schemes` that names a host; `others` might
    have been meant, too.
    """
    starts = [f"{scheme}://" for scheme in schemes]
    if not text.startswith(tuple(starts)):
        raise ValueError(f"must start with {' or '.join((*starts, *others))}")
    try:
        host = URL(text).host
    except ValueError:
        host = None
    if not host:
        raise ValueError(
            "must be a URL with a host; characters such as #, / and @ in a password are "
            "written percent-encoded"
        )
