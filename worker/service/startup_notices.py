"""What a worker says once, when it starts: settings that somebody may not have meant."""

from __future__ import annotations

import structlog

from worker.settings import WorkerSettings, judge_environment, old_names_in_use, unknown_in_use

log = structlog.get_logger(__name__)


def tell_of_settings(settings: WorkerSettings) -> None:
    """Log what is peculiar about the settings and the environment variables that they are from."""
    if settings.delay == "plugin":
        log.warning(
            "delay.plugin",
            detail="a waiting message has one copy on one node and is lost with it; "
            "the plugin is archived since RabbitMQ 4.3",
        )
    for sentence in old_names_in_use():
        log.warning("settings.old_name", detail=sentence)
    judgement = judge_environment()
    for sentence in unknown_in_use(judgement):
        log.warning("settings.unknown", detail=sentence)
    if judgement.links:
        log.info("settings.service_links", ignored=judgement.links)
