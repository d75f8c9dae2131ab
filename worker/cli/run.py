"""`consent-worker run`: a worker, which consumes events and delivers them."""

from __future__ import annotations

import gc
from dataclasses import replace

from worker.cli.event_loop import run_to_the_end
from worker.integration_change_log import report_change
from worker.observability.logging import configure_logging
from worker.service.process import Service
from worker.service.registry_from_settings import build_registry
from worker.settings import WorkerSettings
from worker.wire.private_parts import check_private_parts


def run() -> None:
    """Consume events and deliver them until SIGTERM.

    Starts with the integrations that are valid; the others are named in the log.
    """
    check_private_parts()
    settings = WorkerSettings()
    configure_logging(settings.log_format, settings.log_level)
    registry = build_registry(settings)
    report_change(replace(registry.load(), loaded=()))  # nothing was loaded anew
    # What is there by now stays, and an event makes many objects that soon go: looking for cycles
    # among them as often as Python does by default costs a tenth of the worker's time, and what
    # a full prefetch consists of is to be no reason to look, which takes some milliseconds.
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    run_to_the_end(Service(settings, registry).run())
