"""Where the console listens, and who may look, act and reveal."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

from pydantic import BaseModel, Field, SecretStr, field_validator

LEAST_KEY_CHARACTERS: Final = 32
"""Nobody guesses so many, however often they may try: so a right key is taken however many wrong
ones came before, as at the door."""
_KEYS: Final = ("console_viewer_key", "console_operator_key", "console_revealer_key")
_VISIBLE: Final = re.compile(r"[!-~]*")
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")


class ConsoleSettings(BaseModel):
    """Where the console listens, and who may look, act and reveal."""

    console_host: Annotated[
        str,
        Field(description="Address of the console; the default is reached on its machine only."),
    ] = "127.0.0.1"
    console_port: Annotated[
        int, Field(ge=0, le=65535, description="Port of the console; 0 takes a free one.")
    ] = 8090
    console_viewer_key: Annotated[
        SecretStr,
        Field(
            description="Key of who may look at the console (`openssl rand -hex 32`), 32 "
            "characters at least. Empty: nobody has one."
        ),
    ] = SecretStr("")
    console_operator_key: Annotated[
        SecretStr,
        Field(description="Key of who may also replay, discard and check. Empty: nobody has one."),
    ] = SecretStr("")
    console_revealer_key: Annotated[
        SecretStr,
        Field(
            description="Key of who may also see what a dead letter says of a person. Empty: "
            "nobody has one."
        ),
    ] = SecretStr("")
    console_proxy_address: Annotated[
        str,
        Field(
            description="IP address of a proxy that has signed people in, whose header is "
            "believed. Empty: no proxy is."
        ),
    ] = ""
    console_proxy_header: Annotated[
        str,
        Field(
            description="Header in which that proxy says who asks: `viewer`, `operator` or "
            "`revealer`, a space and a name; see docs/console.md."
        ),
    ] = ""

    @field_validator(*_KEYS)
    @classmethod
    def _is_key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and (len(text) < LEAST_KEY_CHARACTERS or not _VISIBLE.fullmatch(text)):
            raise ValueError(
                f"must have {LEAST_KEY_CHARACTERS} characters at least, of ASCII and without "
                "spaces and line breaks, also at its end: openssl rand -hex 32"
            )
        return value

    @field_validator("console_proxy_address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value:
            try:
                return str(ipaddress.ip_address(value))
            except ValueError:
                raise ValueError("must be one IP address, such as 10.0.0.7") from None
        return value

    @field_validator("console_proxy_header")
    @classmethod
    def _is_header(cls, value: str) -> str:
        if value and not _HEADER.fullmatch(value):
            raise ValueError("must be the name of a header, such as X-Console-User")
        return value
