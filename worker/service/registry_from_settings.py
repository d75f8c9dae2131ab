"""The registry of integrations, as the settings ask for it; commands use it, too."""

from __future__ import annotations

import os

from worker.adobe.endpoints import EndpointPolicy
from worker.integrations.coherence import Surroundings
from worker.integrations.integration_registry import IntegrationRegistry
from worker.integrations.secret_references import SecretSource
from worker.settings import WorkerSettings


def endpoint_policy(settings: WorkerSettings) -> EndpointPolicy:
    """Which endpoints may be called under these settings."""
    return EndpointPolicy(settings.allowed_hosts, settings.allow_insecure)


def secret_source(settings: WorkerSettings) -> SecretSource:
    """Where an integration's references to secrets may lead under these settings."""
    return SecretSource(os.environ, settings.secret_env_prefix, settings.secret_directories)


def build_registry(settings: WorkerSettings) -> IntegrationRegistry:
    """The registry of the integrations in the settings' directory, not loaded yet."""
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
