"""How a named tuple is made on the way of each event."""

from __future__ import annotations

from typing import Final

new_tuple: Final = tuple.__new__
"""`new_tuple(Claim, (user, paths, ()))`, all fields given, spares the call of the named tuple's own
constructor, which is half of the cost; an event has a dozen. Elsewhere the constructor is clearer.
"""
