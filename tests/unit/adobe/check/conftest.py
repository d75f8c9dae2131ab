"""The check as it is run: the worker's client, with the emulator in the place of Adobe."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.unit.adobe.check.set_ups import configured, set_up
from worker.adobe.attempt import AdobeClient
from worker.adobe.check.check_integration import check_integration
from worker.adobe.check.platform_reads import PlatformReader
from worker.adobe.check.report_lines import Line
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import open_session
from worker.integrations.model import Integration
from worker.sandbox.app import Sandbox
from worker.sandbox.customer_organization import Organization

POLICY = EndpointPolicy(("127.0.0.1",), allow_insecure=True)


class Bench:
    """One emulator and one client; `check` holds an integration against a set-up."""

    def __init__(self, sandbox: Sandbox, client: AdobeClient) -> None:
        self.sandbox = sandbox
        self.client = client

    def put(self, document: dict[str, Any]) -> None:
        self.sandbox.state.organization = Organization()
        self.sandbox.state.organization.put(document)

    def integration(self, data_type: str = "raw", **changes: Any) -> Integration:
        return Integration.model_validate(configured(self.sandbox.url, data_type, **changes))

    async def check(self, integration: Integration, seconds: float = 60.0) -> list[Line]:
        reader = PlatformReader(
            self.client, integration, seconds=seconds, pauses_seconds=(0.0, 0.0)
        )
        return await check_integration(self.client, integration, reader)

    async def lines(
        self, data_type: str, of_adobe: Mapping[str, Any], of_config: Mapping[str, Any]
    ) -> list[Line]:
        """A right set-up and a right integration but for these changes."""
        self.put(set_up(data_type, **of_adobe))
        return await self.check(self.integration(data_type, **of_config))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Sandbox() as sandbox, open_session(POLICY, 5.0) as session:
        client = AdobeClient(
            session,
            POLICY,
            ims_url=f"{sandbox.url}/ims/token/v3",
            platform_url=sandbox.url,
            fingerprint_key=b"key",
        )
        yield Bench(sandbox, client)
