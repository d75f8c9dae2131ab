"""JSON on standard output, in two shapes: one object, or one array for whatever is a list.

A list is an array with one object a line, so that a reader of whole documents and a reader of lines
are both served, and nothing has to be in memory as a whole. What has no end, such as `receipts tail
--follow`, is one object a line without the array.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import orjson
import typer

from worker.cli.terminal import json_shown

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
JsonListOption = Annotated[
    bool, typer.Option("--json", help="Print a JSON array, with one object a line.")
]


def json_line(document: Mapping[str, Any]) -> str:
    """A JSON object in one line that does nothing to a terminal, without the end of the line."""
    return json_shown(orjson.dumps(document).decode())


class JsonList:
    """A JSON array that is written while its objects are found. Each method gives what to write
    next; one that has not ended does not parse, so a list that was cut short is not taken for a
    whole.
    """

    def __init__(self) -> None:
        self._is_empty = True

    def item(self, document: Mapping[str, Any]) -> str:
        """One object more of the JSON array."""
        before = "[\n" if self._is_empty else ",\n"
        self._is_empty = False
        return before + json_line(document)

    def end(self) -> str:
        """The end of the JSON array."""
        return "[]\n" if self._is_empty else "\n]\n"


def print_json_list(documents: Iterable[Mapping[str, Any]], *, is_whole: bool = True) -> None:
    """A JSON array on standard output, one object a line; without an end unless it `is_whole`."""
    array = JsonList()
    for document in documents:
        sys.stdout.write(array.item(document))
    if is_whole:
        sys.stdout.write(array.end())
