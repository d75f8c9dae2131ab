"""What is given to `publish`: however it is cut, it is the same events."""

from __future__ import annotations

from random import Random
from typing import Final

import orjson

from devtools.fuzz.target import Target
from devtools.fuzz.targets import events
from devtools.fuzz.values import cuts, json_bytes, pick, pieces, spoiled, written
from worker.cli.event_input import BadInput, EventReader

Case = tuple[bytes, list[int]]


def make(r: Random) -> Case:
    """A file of events in one of the three forms, and where it is cut."""
    documents = [events.document(r) for _ in range(pick(r, (0, 1, 2, 3)))]
    form = r.random()
    if form < 0.5:
        data = pick(r, (b"\n", b"\r\n", b"\n\n")).join(map(written, documents))
    elif form < 0.8:
        data = json_bytes(r, documents, 0.02)
    else:
        data = orjson.dumps(documents, option=orjson.OPT_INDENT_2)
    data = pick(r, (b"", b"", b"\xef\xbb\xbf", b"\n", b" ")) + data
    if r.random() < 0.3:
        data = spoiled(r, data)
    return data, cuts(r, len(data))


def check(case: Case) -> None:
    """See the module."""
    data, edges = case
    whole, mistake = _read([data])
    assert _read(pieces(data, edges)) == (whole, mistake), "other events when they come in pieces"
    for body in whole:
        assert isinstance(orjson.loads(body), dict), "what is published is no object"


def _read(parts: list[bytes]) -> tuple[list[bytes], str]:
    """The events, and what is said to be wrong after them."""
    reader = EventReader()
    bodies: list[bytes] = []
    try:
        for part in parts:
            bodies += (one.body for one in reader.feed(part))
        bodies += (one.body for one in reader.finish())
    except BadInput as error:
        return bodies, str(error)
    return bodies, ""


# A command reads these: no customer waits for it.
TARGETS: Final = (Target("published", make, check, share=12, most_seconds=0.5),)
