"""Structured logs: readable in a terminal, JSON in production, and redacted in any case."""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import orjson
import structlog

from worker.observability.log_writer import LogWriter
from worker.observability.quiet_libraries import silence_libraries
from worker.redaction import redact

log = structlog.get_logger(__name__)


def configure_logging(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send all logs, ours and those of libraries, to `stream` (stderr by default)."""
    target = stream or sys.stderr
    writer = LogWriter(target, _tell_of_dropped)
    atexit.register(writer.finish)
    is_console = log_format == "console" or (log_format == "auto" and target.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=target.isatty() and not os.environ.get("NO_COLOR"))
        if is_console
        else structlog.processors.JSONRenderer(_json)
    )
    shared: list[Any] = [
        _name_the_exception,
        _redact_values,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Ours do not go by the standard library, whose way costs several times as much; with a line for
    # each request that is felt.
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=lambda *names: _Output(writer, *names),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(writer)
    handler.terminator = ""  # the writer ends each line
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    silence_libraries()


class _Output:
    """What structlog writes lines to."""

    def __init__(self, writer: LogWriter, name: str = "") -> None:
        self._writer = writer
        self.name = name

    def msg(self, line: str) -> None:
        self._writer.write(line)

    debug = info = warning = error = critical = msg


def _tell_of_dropped(lines: int) -> None:
    log.warning("log.dropped", lines=lines)


def _json(event: Any, **_: Any) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # a lone surrogate, or a key that is no text
        return json.dumps(event, default=str)


def _name_the_exception(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace an exception by its type and where it was raised: its text may quote an event."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    elif isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[0] is not None:
        event["exception"] = info[0].__name__
        trace = info[2]
        frames = []
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{code.co_qualname}:{trace.tb_lineno}")
            trace = trace.tb_next
        event["frames"] = frames[-8:]
    return event


def _redact_values(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        kind = type(value)
        if kind is str:
            text = redact(value)
            if text is not value and key[0] != "_":
                event[key] = text
        elif kind is not int and kind is not float and key[:1] != "_":
            event[key] = _redacted(value)  # `_record` and the like are structlog's own
    return event


def _redacted(value: Any) -> Any:
    """`value` as it may be written down, however deep its texts lie."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {redact(str(key)): _redacted(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(one) for one in value]
    if isinstance(value, BaseException):
        return type(value).__name__  # like `_name_the_exception`: its text may quote an event
    return redact(value if isinstance(value, str) else str(value))
