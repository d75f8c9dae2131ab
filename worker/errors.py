"""What ends a command, and by which exit code. Everything else that is raised is caught by a room.

    EndsCommand
     ├─ WorkFailed      1   it ran, and what was asked for could not be done
     ├─ WrongUse        2   wrong usage, settings or files, or a library that can't be used
     ├─ ServerTrouble   3   the broker can't be reached, or refuses what is asked of it
     └─ Interrupted     128 and the number of the signal (`interrupt`)

The exceptions of the rooms are kinds of these, as `UnusableSetting` is a `WrongUse`.
"""

from __future__ import annotations


class EndsCommand(Exception):
    """Ends a command; the text is a sentence for who gave it, without secrets and personal data."""

    exit_code = 1

    @property
    def complaint(self) -> str:
        """What is printed when this ends a command."""
        return str(self)


class WorkFailed(EndsCommand):
    """The command ran, and what was asked for could not be done."""

    exit_code = 1


class WrongUse(EndsCommand):
    """A person must change the command, the settings, the files or the installation."""

    exit_code = 2


class ServerTrouble(EndsCommand):
    """A server that the command needs is away, or holds something that conflicts."""

    exit_code = 3
