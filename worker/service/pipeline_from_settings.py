"""The parts of a worker that its settings alone decide; commands use them, too."""

from __future__ import annotations

import aiohttp

from worker.adobe.attempt import AdobeClient
from worker.broker.delay import DelayKindTargets, NativeDelay, PluginDelay
from worker.delivery.pipeline_limits import PipelineLimits
from worker.service.registry_from_settings import endpoint_policy
from worker.settings import UnusableSetting, WorkerSettings


def build_client(settings: WorkerSettings, http: aiohttp.ClientSession) -> AdobeClient:
    """The client of Adobe. Raises `UnusableSetting` for a URL that may not be called."""
    policy = endpoint_policy(settings)
    for name in ("ims_url", "platform_url"):
        if problem := policy.service_problem(getattr(settings, name)):
            raise UnusableSetting(f"setting CONSENT_WORKER_{name.upper()}: {problem}")
    return AdobeClient(
        http,
        policy,
        ims_url=settings.ims_url,
        platform_url=settings.platform_url,
        fingerprint_key=settings.ordering_secret.get_secret_value().encode(),
    )


def delay_targets(settings: WorkerSettings) -> DelayKindTargets:
    """The kind of delay that the settings ask for."""
    if settings.delay == "plugin":
        return PluginDelay(settings.namespace)
    return NativeDelay(settings.namespace)


def pipeline_limits(settings: WorkerSettings) -> PipelineLimits:
    """What the settings bound of a pipeline."""
    return PipelineLimits(
        settings.max_event_bytes,
        settings.poison_after,
        settings.block_probe_seconds,
        settings.block_patience_seconds,
        # Of what one queue of events has of the prefetch: a lane must not fill that with requests.
        max(1, settings.prefetch_events // len(settings.event_queues) // 2),
        settings.prefetch_retries,
        settings.unclear_seconds,
    )
