"""The emulator on a port, and a client that speaks to it as the worker would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from worker.sandbox.app import Sandbox
from worker.sandbox.emulator_state import SandboxState

LOOK_UP = {
    "schema.name": "_xdm.context.profile",
    "entityId": "a@b.example",
    "entityIdNS": "Email",
}
GATEWAY = {"x-api-key": "k", "x-gw-ims-org-id": "O@AdobeOrg"}


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Caller:
    """Calls the emulator; `bearer` goes along when it is set."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    bearer: str = ""

    @property
    def state(self) -> SandboxState:
        return self.sandbox.state

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        headers |= options.pop("headers", {})
        url = self.sandbox.url + path
        async with self.session.request(method, url, headers=headers, **options) as reply:
            return Answer(reply.status, await reply.json(), dict(reply.headers))

    async def token(self, **changes: str) -> Answer:
        form = {
            "grant_type": "client_credentials",
            "client_id": "c",
            "client_secret": "s",
            "scope": "openid",
        }
        return await self.call("POST", "/ims/token/v3", data=form | changes)

    async def send(self, message: Any, path: str = "/collection/i", **options: Any) -> Answer:
        return await self.call("POST", path, json=message, **options)

    async def look_up(self, headers: dict[str, str] = GATEWAY, **changes: str) -> Answer:
        path = "/data/core/ups/access/entities"
        return await self.call("GET", path, params=LOOK_UP | changes, headers=headers)


def upsert(operation: str | None = "merge", **record: Any) -> dict[str, Any]:
    """A raw message with operations; its identity is a@b.example unless `record` says more."""
    header: dict[str, Any] = {"imsOrgId": "O@AdobeOrg", "datasetId": "d", "flowId": "f"}
    if operation is not None:
        header["operations"] = {"data": operation}
    return {"header": header, "body": {"personalEmail": {"address": "a@b.example"}} | record}


def xdm(**record: Any) -> dict[str, Any]:
    """A message for an XDM-compatible inlet."""
    reference = {"id": "https://ns.adobe.com/t/schemas/1", "contentType": "x;version=1"}
    message = upsert(None)
    message["header"]["schemaRef"] = reference
    message["body"] = {"xdmMeta": {"schemaRef": dict(reference)}, "xdmEntity": record}
    return message


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        yield Caller(sandbox, session, sandbox.state.issue_token())
