"""Logs what is peculiar about the environment variables that the settings are from."""

from __future__ import annotations

import structlog

from worker.settings import judge_environment, old_names_in_use, unknown_in_use

log = structlog.get_logger(__name__)


def tell_of_environment() -> None:
    """Log what is peculiar about the environment, once, at the start of a process that serves."""
    for sentence in old_names_in_use():
        log.warning("settings.old_name", detail=sentence)
    judgement = judge_environment()
    for sentence in unknown_in_use(judgement):
        log.warning("settings.unknown", detail=sentence)
    if judgement.links:
        log.info("settings.service_links", ignored=judgement.links)
