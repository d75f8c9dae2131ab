"""Text from outside, made fit for a terminal, and a progress bar for a person only.

Ids, headers and bodies are whatever their producers chose: escape sequences that rewrite the
screen, line ends and spaces that forge a line or a column, marks that turn the direction of
reading.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_NAMED: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNPRINTABLE_IN_JSON: Final = re.compile(r"[^\x00-\x7e]")


def shown(text: str) -> str:
    """`text` in one line, with an escape for all that does not print as one character."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_NAMED.get(one) or (one if one.isprintable() else _code(one)) for one in text)


def in_column(text: str) -> str:
    """`text` as `shown` has it, and spaces are escaped too: it can't be taken for two columns."""
    return shown(text).replace(" ", "\\x20")


def json_shown(document: str) -> str:
    """A JSON document, equal to `document`, in which no character does anything to a terminal."""
    if document.isascii() and "\x7f" not in document:
        return document
    return _UNPRINTABLE_IN_JSON.sub(
        lambda found: found[0] if found[0].isprintable() else _json_code(found[0]), document
    )


def _code(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _json_code(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


@contextmanager
def progress(label: str, total: int | None, *, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """A progress bar: gives what to call after each piece; `total` is None where it is unknown."""
    if not wanted or not sys.stderr.isatty():
        yield lambda: None
        return
    # Later: most commands show none, and to import it takes a tenth of a second.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)
