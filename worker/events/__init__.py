"""What arrives: the bytes of a message, decoded into a typed consent event.

Two steps, because the order of checks asks for it (an event of a kind that nobody wants is skipped
before its content is judged): `open_envelope` finds out what kind of event this is and whose,
`read_record` then reads the choices strictly. Both raise `UndecodableEvent`, the second also
`EarlyEvent`, and nothing else, whatever the bytes are. No message of these quotes a value of the
event: values are personal data.
"""

from worker.events.called_as_person import folded, is_called_as_person, names_of_user
from worker.events.envelope import EVENT_KINDS, MAX_VALUES, Envelope, EventKind, open_envelope
from worker.events.field_readers import FlattenedEvent, UndecodableEvent
from worker.events.record import BESIDES_ENABLED, ConsentRecord, EarlyEvent, read_record

__all__ = [
    "BESIDES_ENABLED",
    "EVENT_KINDS",
    "MAX_VALUES",
    "ConsentRecord",
    "EarlyEvent",
    "Envelope",
    "EventKind",
    "FlattenedEvent",
    "UndecodableEvent",
    "folded",
    "is_called_as_person",
    "names_of_user",
    "open_envelope",
    "read_record",
]
