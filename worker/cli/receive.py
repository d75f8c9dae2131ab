"""`consent-worker receive`: a door, which takes Didomi's webhooks."""

from __future__ import annotations

import gc

from worker.cli.event_loop import run_to_the_end
from worker.door.process import run_door
from worker.environment_warnings import tell_of_environment
from worker.observability.logging import configure_logging
from worker.settings import WorkerSettings
from worker.wire.private_parts import check_private_parts


def receive() -> None:
    """Take Didomi's webhooks and put them on the queue until SIGTERM."""
    check_private_parts()
    settings = WorkerSettings()
    configure_logging(settings.log_format, settings.log_level)
    tell_of_environment()
    gc.freeze()  # what is there by now stays
    gc.set_threshold(10_000, 50, 50)
    run_to_the_end(run_door(settings))
