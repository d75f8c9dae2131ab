"""Publishes each message until the broker has confirmed it, across lines that stall or end.

Of a message there is one copy on a connection: what the broker has not confirmed lies somewhere in
that line, and a second copy would only lie behind it. Only when confirms stay away for long, or the
connection ends, is another one opened, and each message that is not confirmed goes once on it. A
duplicate is harmless, a loss is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from worker.broker.publishing_line import PublishingLine
from worker.wire.channels import tells_of_the_line
from worker.wire.confirms import Publish
from worker.wire.connect import at_most

log = structlog.get_logger(__name__)

OPEN_TIMEOUT_SECONDS: Final = 8.0
LONGEST_PATIENCE_SECONDS: Final = 600.0
_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
_REASON_CHARACTERS: Final = 100


class _Sent:
    """What is known of a message that is not confirmed. It was written on `line`, if on any."""

    __slots__ = ("give_up_at", "line", "pause", "problem")

    def __init__(self) -> None:
        self.line: PublishingLine | None = None
        self.give_up_at = 0.0
        self.pause = _FIRST_PAUSE_SECONDS
        self.problem = ""


class Publisher:
    """Keeps a line up that `new_line` makes, and publishes on it.

    What the broker refuses or returns is tried again on the same line. Without any confirm for
    `patience_seconds` (then twice as long, up to ten minutes, until one comes) the line counts as
    stalled. While the broker has an alarm nothing is written and nothing counts as late, however
    long that lasts. `fail` is called with a reason for what opening a line again can't heal.
    """

    def __init__(
        self,
        new_line: Callable[[], PublishingLine],
        patience_seconds: float,
        fail: Callable[[str], None],
    ) -> None:
        self._new_line = new_line
        self._first_patience = self._patience = patience_seconds
        self._fail = fail
        self._line: PublishingLine | None = None
        self._lost_for = "not opened yet"
        self._alarm = ""
        self._pending: dict[Publish, _Sent] = {}
        self._loop = asyncio.get_running_loop()
        self._watching: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._closings: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def start(self) -> None:
        """Open the first line. Raises what the broker answers, and TimeoutError."""
        self._use(await self._opened())

    async def close(self) -> None:
        """Let go of what is not confirmed, and of the line."""
        self._is_closed = True
        self._pending.clear()
        if self._watching is not None:
            self._watching.cancel()
        if self._reopening is not None:
            self._reopening.cancel()
        if self._line is not None:
            self._close_soon(self._line)
        if self._closings:
            await asyncio.wait(self._closings)

    def publish(self, one: Publish) -> None:
        """Send `one`; what its `then` is for never happens when the publisher is closed before."""
        if not self._is_closed:
            self._pending[one] = _Sent()
            self._send(one)

    @property
    def trouble(self) -> str:
        """What is wrong now, if anything."""
        if self._line is None:
            return f"the publishing connection is opened anew: {self._lost_for}"
        if self._alarm:
            return _of_alarm(self._alarm)
        for one, sent in self._pending.items():
            if sent.problem:
                return f"publishing to {one.exchange or 'a queue'}: {sent.problem}"
        return ""

    # A message

    def _send(self, one: Publish) -> None:
        """Write it, unless it is on this line already, or nothing can be written now."""
        sent, line = self._pending.get(one), self._line
        if sent is None or line is None or sent.line is line or self._alarm:
            return
        if line.channel.is_closed:
            return  # it is told of in a moment
        sent.line = line
        sent.give_up_at = self._loop.time() + self._patience
        line.channel.publish(one)
        if self._watching is None:
            self._watch_later()

    def _answered(self, one: Publish, problem: str) -> None:
        sent = self._pending.get(one)
        if sent is None:
            return
        self._patience = self._first_patience
        if not problem:
            del self._pending[one]
            one.then()
            return
        log.warning("publish.unconfirmed", exchange=one.exchange, error=problem)
        sent.problem = problem
        sent.line = None  # the broker does not have it
        self._loop.call_later(sent.pause, self._send, one)
        sent.pause = min(sent.pause * 2, _LONGEST_PAUSE_SECONDS)

    # A line

    async def _opened(self) -> PublishingLine:
        line = self._new_line()
        opening = asyncio.ensure_future(line.open(self._lost))
        try:
            if not await at_most(OPEN_TIMEOUT_SECONDS, opening):
                raise TimeoutError
            opening.result()
        except BaseException:
            opening.cancel()
            self._close_soon(line)
            raise
        return line

    def _use(self, line: PublishingLine) -> None:
        line.channel.answered = self._answered
        line.alarm_changed = self._alarm_changed
        self._line = line
        self._alarm_changed()
        if line.channel.is_closed:
            self._lost(line)  # before anybody listened
        else:
            self._send_all()

    def _send_all(self) -> None:
        for one in list(self._pending):
            self._send(one)

    def _lost(self, line: PublishingLine) -> None:
        if line is self._line:
            self._replace("it was closed")

    def _replace(self, reason: str) -> None:
        """Let go of the line, and open another one."""
        line, self._line = self._line, None
        if line is None or self._is_closed:
            return
        line.channel.answered = lambda one, problem: None
        line.alarm_changed = lambda: None
        self._lost_for = reason
        self._alarm = ""  # the next line hears of it by itself
        log.warning("publish.reopening", reason=reason, pending=len(self._pending))
        self._close_soon(line)
        self._reopening = asyncio.create_task(self._reopen())

    async def _reopen(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                line = await self._opened()
            except Exception as error:
                if not tells_of_the_line(error):
                    self._fail(f"publishing can't go on: {error}")
                    return
                self._lost_for = type(error).__name__
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                break
        log.info("publish.reopened", pending=len(self._pending))
        self._use(line)

    def _alarm_changed(self) -> None:
        alarm = self._line.alarm if self._line is not None else ""
        had, self._alarm = self._alarm, alarm
        if alarm and not had:
            log.error("publish.blocked", detail=_of_alarm(alarm))
        elif had and not alarm:
            log.info("publish.unblocked")
            # What lay in the line is taken in only now.
            later = self._loop.time() + self._patience
            for sent in self._pending.values():
                sent.give_up_at = later
            self._send_all()

    def _watch_later(self) -> None:
        seconds = min(self._patience, _LOOK_SECONDS)
        self._watching = self._loop.call_later(seconds, self._watch)

    def _watch(self) -> None:
        """Look for what has waited too long, as long as anything waits."""
        self._watching = None
        if not self._pending:
            return
        self._watch_later()
        if self._line is None or self._alarm:
            return
        now = self._loop.time()
        for sent in self._pending.values():
            if sent.line is self._line and sent.give_up_at <= now:
                self._replace(f"no confirm in {self._patience:g} s")
                self._patience = min(2 * self._patience, LONGEST_PATIENCE_SECONDS)
                break

    def _close_soon(self, line: PublishingLine) -> None:
        task = asyncio.create_task(line.close())
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)


def _of_alarm(reason: str) -> str:
    shown = "".join(one if one.isprintable() else " " for one in reason[:_REASON_CHARACTERS])
    return f"the broker takes no messages: {shown}"
