"""A script that Redis runs whole or not at all."""

from __future__ import annotations

import hashlib
from importlib.resources import files


class Script:
    """Called by its digest; `text` is sent only to a Redis that doesn't know it yet. `rotating` is
    for users with two digests, who have four keys each.
    """

    def __init__(self, name: str, *, rotating: bool = False) -> None:
        self.text = files("worker.ordering").joinpath(name).read_text("utf-8")
        if rotating:
            self.text = self.text.replace("local STRIDE = 2", "local STRIDE = 4")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
