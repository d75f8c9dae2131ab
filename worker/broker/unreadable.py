"""Messages whose properties can't be decoded, such as a `message_id` that is not UTF-8.

pamqp raises for these, and aiormq ends the connection. The broker would deliver the message again
to the next session, which would end as well, until the delivery limit; and with each of these
sessions all that is in hand comes back. So such a message arrives with `UnreadableProperties`
instead, and the pipeline makes a dead letter of it.
"""

from __future__ import annotations

import struct

from pamqp.commands import Basic
from pamqp.header import ContentHeader


class UnreadableProperties(Basic.Properties):
    """No properties, since those that there are can't be decoded."""


_unmarshal = ContentHeader.unmarshal


def _unmarshal_or_mark(header: ContentHeader, data: bytes) -> None:
    header.body_size = -1
    try:
        _unmarshal(header, data)
    except (struct.error, ValueError, OverflowError, OSError):
        if header.body_size < 0:
            raise  # the frame itself is broken
        header.properties = UnreadableProperties()


def accept_unreadable_properties() -> None:
    """From now on, in this process: pamqp has no other place to say so."""
    ContentHeader.unmarshal = _unmarshal_or_mark  # type: ignore[method-assign, assignment]
