"""Debian's Chromium, for the tests that look at pages as a person does."""

from __future__ import annotations

import shutil

from devtools import debian


class ChromiumUnavailable(RuntimeError):
    """No Chromium can be had here; the text says what is missing."""


def ensure_installed() -> str:
    """The path of Chromium, which is installed where that is possible. Raises
    `ChromiumUnavailable`.
    """
    if (found := shutil.which("chromium")) is not None:
        return found
    if trouble := debian.trouble_with("chromium"):
        raise ChromiumUnavailable(f"This test needs Chromium: {trouble}")
    return shutil.which("chromium") or "/usr/bin/chromium"
