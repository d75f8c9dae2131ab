"""Which stamps are an event's own, though it was called otherwise when they were written. Pure.

An id that may be a person's is a digest. Another secret makes another one, and workers up to 0.3.0
made none. Only the id differs then: times and refusal are those of the event. If such a stamp
counted as another choice of the same time, a copy would be sent as a new choice. And a repeat would
count as superseded, so that an older choice that Adobe carries out late would stay there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.ordering.newest_fold import Choices, stamps_of
from worker.ordering.stamp import Stamp


def called_as_now(
    stored: Mapping[str, Stamp], events: Sequence[tuple[Choices, Sequence[str]]]
) -> Mapping[str, Stamp]:
    """The stamps with the present id of each event where another one of its ids stands; `events`
    are choices, each with those other ids.
    """
    renamed: dict[str, Stamp] = {}
    for choice, other_ids in events:
        if not other_ids:  # as nearly all
            continue
        for path, own in stamps_of(choice).items():
            known = stored.get(path)
            if known is not None and known.event_id in other_ids and known[:3] == own[:3]:
                renamed[path] = own
    return {**stored, **renamed} if renamed else stored
