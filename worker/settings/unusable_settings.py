"""What is raised for settings that can't be used."""

from __future__ import annotations

from worker.errors import WrongUse


class UnusableSetting(WrongUse, ValueError):
    """A setting can't be used; the text names it and not its value."""
