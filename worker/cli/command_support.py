"""What every command needs: settings, input and output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

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
    """The bytes of a file, or of standard input for `-`. Raises OSError."""
    return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()


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
