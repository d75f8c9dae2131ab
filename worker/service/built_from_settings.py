"""The parts of a worker that its settings alone decide; commands use them, too."""

from __future__ import annotations

import os

import aiohttp

from worker.adobe.attempt import AdobeClient
from worker.adobe.endpoints import EndpointPolicy
from worker.broker.delay import DelayKindTargets, NativeDelay, PluginDelay
from worker.delivery.pipeline_limits import PipelineLimits
from worker.integrations.coherence import Surroundings
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.secret_references import SecretSource
from worker.settings import UnusableSetting, WorkerSettings


def endpoint_policy(settings: WorkerSettings) -> EndpointPolicy:
    """Which endpoints may be called under these settings."""
    return EndpointPolicy(settings.allowed_hosts, settings.allow_insecure)


def secret_source(settings: WorkerSettings) -> SecretSource:
    """Where the references of an integration may lead under these settings."""
    return SecretSource(os.environ, settings.secret_env_prefix, settings.secret_directories)


def build_registry(settings: WorkerSettings) -> IntegrationRegistry:
    """The registry of the settings' directory, not loaded yet."""
    return IntegrationRegistry(
        settings.integrations,
        endpoint_policy(settings).problem,
        secret_env_prefix=settings.secret_env_prefix,
        secret_directories=settings.secret_directories,
        grace_seconds=settings.integration_grace_seconds,
        unknown_organization=settings.unknown_organization,
        surroundings=surroundings(settings),
    )


def surroundings(settings: WorkerSettings) -> Surroundings:
    """What is around a worker that may be needed by an integration."""
    return Surroundings(
        has_lasting_state=settings.state_kind != "memory",
        has_secret=bool(settings.ordering_secret.get_secret_value()),
    )


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
        max(1, settings.prefetch_events // 2),
        settings.prefetch_retries,
        settings.unclear_seconds,
    )
