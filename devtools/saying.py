"""A sentence about the servers, to whoever runs the demo, the benchmarks or the tests."""

from __future__ import annotations

import os
import sys
import warnings

_said: set[str] = set()


def say(sentence: str) -> None:
    """Say it on standard error, or in pytest, which keeps that for itself, among the warnings."""
    if "PYTEST_VERSION" in os.environ:
        warnings.warn(sentence, stacklevel=2)
    else:
        sys.stderr.write(sentence + "\n")


def say_once(sentence: str) -> None:
    """Say it unless this process has said it."""
    if sentence not in _said:
        _said.add(sentence)
        say(sentence)
