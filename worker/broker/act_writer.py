"""Puts acts on record, who did what: into the stream of the receipts, chained as all there is.
Console and commands write alike.

What is written at once is in a chain of its own, with a beginning and an end. So a process that
sleeps for days leaves no chain whose beginning falls with the stream's retention, and one that is
killed leaves none without an end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from worker.broker.broker_access import what_happened
from worker.broker.chain_writer import ChainWriter
from worker.broker.queue_names import Names
from worker.broker.session_settings import address_of
from worker.errors import ServerTrouble
from worker.evidence.act import Act, encode_act
from worker.evidence.chain import Chain, process_name
from worker.redaction import redact, shown_id, shown_integration
from worker.settings import WorkerSettings
from worker.wire.connecting import PublishError, is_connection_error, why_unreachable

_WORD: Final = re.compile(r"[^\s,;:()\"']+")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d[\d.]*Z?)?")
_SECRET_CHARACTERS: Final = 16
_NUMBER_DIGITS: Final = 7


class TrailAway(ServerTrouble):
    """An act can't be put on record now; the text says why and what to do."""


class ActWriter:
    """Puts acts on record. `purpose` names the connections, `now_ms` gives ms since 1970."""

    def __init__(self, settings: WorkerSettings, purpose: str, now_ms: Callable[[], int]) -> None:
        self._address = address_of(settings)
        self._purpose = purpose
        self._queue = Names(settings.namespace).receipts
        self._secret = settings.receipts_secret.get_secret_value().encode()
        self._now_ms = now_ms

    def prepared(self, *acts: Act) -> ChainWriter:
        """The messages that put these acts on record, one after the other, for `send`."""
        now_ms = self._now_ms()
        chain = Chain(process_name(), self._secret)
        writer = ChainWriter(self._address, self._purpose, self._queue, chain)
        writer.add("trail", [encode_act(_masked(one)) for one in acts], now_ms)
        writer.end(now_ms)
        return writer

    async def send(self, writer: ChainWriter) -> None:
        """Wait until prepared acts are on record. Raises `TrailAway`; they may be sent again."""
        try:
            await writer.send()
        except PublishError:
            raise TrailAway(
                f"the trail can't be written: there is no stream {self._queue}; a worker makes "
                "it, unless CONSENT_WORKER_RECEIPTS=off"
            ) from None
        except Exception as error:
            if not is_connection_error(error):
                raise
            why = what_happened(error)
            if isinstance(error, OSError):
                why = f"no connection to RabbitMQ: {why_unreachable(error)}"
            raise TrailAway(f"the trail can't be written: {why}") from None

    async def write(self, *acts: Act) -> None:
        """Put these acts on record, and wait until they are. Raises `TrailAway`."""
        await self.send(self.prepared(*acts))


def without_secrets(typed: str) -> str:
    """What a person has typed, without words that may be a password, a token or a telephone number:
    long ones of letters and digits, and numbers of seven digits or more. Ids of events and dates
    stay.
    """
    return _WORD.sub(_unless_secret, typed)


def _unless_secret(word: re.Match[str]) -> str:
    text = word[0]
    digits = sum(map(str.isdigit, text))
    has_letters = any(map(str.isalpha, text))
    may_be_secret = len(text) >= _SECRET_CHARACTERS and digits and has_letters
    may_be_number = digits >= _NUMBER_DIGITS and not has_letters
    is_known = shown_id(text) is not None or _DATE.fullmatch(text) is not None
    if is_known or not (may_be_secret or may_be_number):
        return text
    return "<masked>"


def _masked(act: Act) -> Act:
    """What a person has typed may have an address or a secret in it."""
    return act._replace(
        integration=shown_integration(act.integration) or "",
        about=redact(act.about),
        why=without_secrets(redact(act.why)),
        result=redact(act.result),
    )
