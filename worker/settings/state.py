"""Where the state of newest-wins is kept, for how long, and by which key."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from worker.settings.redis_urls import SCHEMES, redis_urls
from worker.settings.value_bounds import LONGEST_SECONDS, check_scheme

_SQLITE_URL: Final = re.compile(r"sqlite:///[^?#\x00]+[^/?#\x00]")


class StateSettings(BaseModel):
    """Where the state of newest-wins is kept, for how long, and by which key."""

    state_url: Annotated[
        SecretStr,
        Field(
            description="Where the state of newest-wins is kept: `redis://` or `rediss://` for a "
            "fleet; `redis+cluster://` or `rediss+cluster://` with some nodes of a Redis Cluster, "
            "commas between them; `sqlite:///PATH`, a file for one worker; `memory:`, for one "
            "worker that may forget it at each start."
        ),
    ] = SecretStr("memory:")
    ordering_retention_seconds: Annotated[
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
            check_scheme(text, *SCHEMES, others=("sqlite:///", "memory:"))
            redis_urls(text)
        return value

    @property
    def state_kind(self) -> Literal["memory", "sqlite", "redis"]:
        """What keeps the state of newest-wins."""
        text = self.state_url.get_secret_value()
        if text == "memory:":
            return "memory"
        return "sqlite" if text.startswith("sqlite:") else "redis"
