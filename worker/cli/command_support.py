"""What every command needs: settings, input and output."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import orjson

from worker.cli.event_input import MAX_LINE_BYTES, BadInput
from worker.cli.terminal import json_shown
from worker.settings import (
    WorkerSettings,
    judge_environment,
    old_names_in_use,
    unknown_in_use,
)


def command_settings() -> WorkerSettings:
    """The settings of a command, which names on standard error what is none of them, or is
    called otherwise now."""
    settings = WorkerSettings()
    for sentence in old_names_in_use() + unknown_in_use(judge_environment()):
        complain(sentence)
    return settings


def read_input(source: str) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises OSError, and `BadInput` for more
    than any event has: what is given may have no end.
    """
    with nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb") as stream:
        content = stream.read(MAX_LINE_BYTES + 1)
    if len(content) > MAX_LINE_BYTES:
        raise BadInput(f"more than {MAX_LINE_BYTES} bytes, which no event has")
    return content


def print_json(document: Any) -> None:
    """One JSON document on standard output, indented."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    sys.stdout.write(json_shown(text) + "\n")


def say(text: str) -> None:
    """A line for the person at the terminal, on standard output."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """A line for the person at the terminal, on standard error."""
    sys.stderr.write(text + "\n")
