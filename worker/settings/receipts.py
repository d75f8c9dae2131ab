"""What receipts are kept as evidence of every outcome, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr


class ReceiptSettings(BaseModel):
    """What receipts are kept as evidence of every outcome, and for how long."""

    receipts: Annotated[
        Literal["on", "off"],
        Field(
            description="Whether a receipt of each outcome is written to the stream "
            "`NAMESPACE.receipts` before its event is acknowledged; see docs/receipts.md for its "
            "cost. Where there is no stream and none can be made, delivery goes on and says so."
        ),
    ] = "on"
    receipts_secret: Annotated[
        SecretStr,
        Field(
            description="Key by which the receipts are signed, the same in the whole fleet "
            "(`openssl rand -hex 32`); without one they are not signed."
        ),
    ] = SecretStr("")
    receipts_secret_previous: Annotated[
        SecretStr | None,
        Field(
            description="The key before, for `receipts verify`: what it has signed is still right. "
            "None: there was none."
        ),
    ] = None
    receipts_retention_days: Annotated[
        int,
        Field(
            ge=1,
            le=3650,
            description="Days for which the stream keeps receipts; the key of a month's hashes of "
            "users is destroyed with the last of its receipts.",
        ),
    ] = 400
    operator_name: Annotated[
        str,
        Field(
            description="Name under which acts of commands are put on record, as by `--as`: "
            "letters, digits, dots, hyphens and underscores. Empty: that of the user of the "
            "operating system."
        ),
    ] = ""
    receipts_max_bytes: Annotated[
        int,
        Field(
            ge=10_000_000,
            description="Bytes of the stream above which its oldest receipts are dropped.",
        ),
    ] = 5_000_000_000
