"""Log lines as an operator gets them: one JSON object each, redacted, without texts of errors."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
import structlog

from worker.observability.logging import configure_logging


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("log_format", ["json", "auto"])
def test_outside_of_a_terminal_a_line_is_one_json_object(log_format: str) -> None:
    stream = io.StringIO()
    configure_logging(log_format, "info", stream)
    structlog.get_logger("worker.x").info("something.happened", count=3)
    (line,) = _lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "something.happened",
        "level": "info",
        "logger": "worker.x",
        "count": 3,
    }


@pytest.mark.parametrize(
    ("log_format", "stream"),
    [
        pytest.param("auto", Terminal(), id="a terminal"),
        pytest.param("console", io.StringIO(), id="asked for"),
    ],
)
def test_for_a_person_a_line_is_text(log_format: str, stream: io.StringIO) -> None:
    configure_logging(log_format, "info", stream)
    structlog.get_logger("worker.x").info("something.happened", to="lena@b.example")
    assert "something.happened" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
    assert "lena" not in stream.getvalue()


@pytest.mark.parametrize(("value", "is_coloured"), [(None, True), ("", True), ("1", False)])
def test_a_terminal_has_colours_unless_they_are_unwanted(
    monkeypatch: pytest.MonkeyPatch, value: str | None, is_coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    stream = Terminal()
    configure_logging("auto", "info", stream)
    structlog.get_logger("worker.x").info("something.happened")
    assert ("\x1b[" in stream.getvalue()) == is_coloured


def test_without_a_stream_it_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "info")
    structlog.get_logger("worker.x").info("something.happened")
    out, err = capsys.readouterr()
    assert out == ""
    assert "something.happened" in err


@pytest.mark.parametrize(
    ("level", "seen"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)],
)
def test_what_is_below_the_level_is_not_logged(level: str, seen: int) -> None:
    stream = io.StringIO()
    configure_logging("json", level, stream)
    log = structlog.get_logger("worker.x")
    for write in (log.debug, log.info, log.warning, log.error):
        write("something.happened")
    assert len(_lines(stream)) == seen


@pytest.mark.parametrize("library", ["aiormq", "asyncio", "aiohttp.access", "aio_pika"])
def test_chatty_libraries_are_quiet(library: str) -> None:
    stream = io.StringIO()
    configure_logging("json", "debug", stream)
    logging.getLogger(library).error("something of theirs")
    assert stream.getvalue() == ""


def test_other_libraries_are_logged_in_the_same_form_and_redacted() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    logging.getLogger("other").warning("for %s", "lena@b.example")
    (line,) = _lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("for <email>", "warning", "other")


def _raise() -> None:
    raise ValueError("of lena@b.example and hush")


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(lambda log, _: log.exception("it.failed"), id="exception"),
        pytest.param(lambda log, _: log.error("it.failed", exc_info=True), id="exc_info"),
        pytest.param(lambda log, error: log.error("it.failed", exc_info=error), id="instance"),
        pytest.param(
            lambda _, error: logging.getLogger("other").error("it.failed", exc_info=error),
            id="a library's",
        ),
    ],
)
def test_an_exception_is_named_with_its_place_and_without_its_text(how: Any) -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    try:
        _raise()
    except ValueError as error:
        how(structlog.get_logger("worker.x"), error)
    (line,) = _lines(stream)
    assert line["exception"] == "ValueError"
    assert line["frames"][-1].startswith("_raise:")
    assert "lena" not in stream.getvalue()
    assert "hush" not in stream.getvalue()


def test_no_exception_is_no_field() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    structlog.get_logger("worker.x").info("fine", exc_info=True)
    (line,) = _lines(stream)
    assert "exception" not in line


def test_deep_traces_are_shortened_to_where_it_happened() -> None:
    def dive(depth: int) -> None:
        if depth == 0:
            _raise()
        dive(depth - 1)

    stream = io.StringIO()
    configure_logging("json", "info", stream)
    try:
        dive(30)
    except ValueError:
        structlog.get_logger("worker.x").exception("it.failed")
    (line,) = _lines(stream)
    assert len(line["frames"]) == 8
    assert line["frames"][-1].startswith("_raise:")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("lena@b.example", id="text"),
        pytest.param(["lena@b.example"], id="list"),
        pytest.param(("x", "lena@b.example"), id="tuple"),
        pytest.param({"a": {"b": "lena@b.example"}}, id="object"),
        pytest.param({"lena@b.example": 1}, id="key"),
        pytest.param(ValueError("lena@b.example"), id="exception"),
        pytest.param(b"lena@b.example", id="bytes"),
    ],
)
def test_whatever_a_value_is_made_of_it_is_redacted(value: object) -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    structlog.get_logger("worker.x").info("something.happened", value=value, count=2.5, none=None)
    assert "lena" not in stream.getvalue()
    (line,) = _lines(stream)
    assert (line["count"], line["none"]) == (2.5, None)


def test_a_text_that_is_no_unicode_does_not_break_the_line() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    structlog.get_logger("x").info("something.happened", detail="\ud800", counts={1: 2})
    assert json.loads(stream.getvalue())["detail"] == "\ud800"


class Broken(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_log_that_nobody_can_read_stops_nothing(is_closed: bool) -> None:
    stream = Broken()
    configure_logging("json", "debug", stream)
    if is_closed:
        stream.close()
    log = structlog.get_logger("x")
    for write in (log.debug, log.info, log.warning, log.error, log.critical):
        write("something.happened")
    try:
        raise KeyError("x")
    except KeyError:
        log.exception("something.failed")
