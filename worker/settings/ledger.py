"""Where the ledger is."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, Field, SecretStr, field_validator

_LEADING_SLASHES: Final = re.compile(r"\Asqlite:///+")
"""Four are SQLAlchemy's form of an absolute path."""
_SQLITE_URL: Final = re.compile(r"sqlite:///[^?#\x00]+[^/?#\x00]")


class LedgerSettings(BaseModel):
    """Where the ledger is."""

    ledger_url: Annotated[
        SecretStr,
        Field(
            description="Where `consent-worker ledger` keeps what it reads, and commands look it "
            "up: `sqlite:///PATH`. Empty: nowhere."
        ),
    ] = SecretStr("")

    @field_validator("ledger_url")
    @classmethod
    def _is_ledger(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not _SQLITE_URL.fullmatch(text):
            raise ValueError(
                "must be sqlite:// and the absolute path of a file, without ? or #: "
                "sqlite:///var/lib/consent-worker/ledger.sqlite"
            )
        return SecretStr(_LEADING_SLASHES.sub("sqlite:///", text))
