"""A worker with a bug: it acknowledges some events, and neither delivers nor records them.

It loses an event whose id begins with `lost-whole`, and the delivery for the integration `second`
of one whose person's address begins with `lost-part`.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from worker.cli.entry_point import main
from worker.delivery.delivery import Delivery
from worker.delivery.pipeline import Pipeline
from worker.delivery.receipting import Done, Receipting

_handle, _delivered = Pipeline.handle, Receipting.delivered


def _lose(self: Pipeline, message: Any) -> None:
    if b"lost-whole" in message.body:
        message.done()
    else:
        _handle(self, message)


def _forget(self: Receipting, delivery: Delivery, *of: Any) -> Done:
    address = delivery.choice.identity.value
    if address.startswith("lost-part") and delivery.integration.id == "second":
        return delivery.message.done
    return _delivered(self, delivery, *of)


if __name__ == "__main__":
    with patch.object(Pipeline, "handle", _lose), patch.object(Receipting, "delivered", _forget):
        main()
