"""The emulator as an application, and as a server on a port of its own."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from worker.sandbox import flow_service
from worker.sandbox.admin import admin_routes, explain_mistakes
from worker.sandbox.emulator_state import STATE, TOKEN_LIFETIME_SECONDS, SandboxState
from worker.sandbox.ingestion import collect, collect_many
from worker.sandbox.journal import journal
from worker.sandbox.profile_access import look_up
from worker.sandbox.schema_registry import (
    list_descriptors,
    list_namespaces,
    list_sandboxes,
    show_dataset,
    show_mapping_set,
    show_schema,
)
from worker.sandbox.tokens import issue_token

_READABLE_BYTES: Final = 64 * 2**20
_STOP_SECONDS: Final = 0.1


def platform_routes() -> list[web.RouteDef]:
    """The emulator's routes that tell of an organization's set-up; reads alone."""
    schemas = "/data/foundation/schemaregistry/tenant"
    return [
        web.get("/data/foundation/sandbox-management/", list_sandboxes),
        web.get(f"{flow_service.BASE}/flows", flow_service.list_flows),
        web.get(f"{flow_service.BASE}/runs", flow_service.list_runs),
        web.get(f"{flow_service.BASE}/{{kind}}/{{id}}", flow_service.show),
        web.get("/data/foundation/catalog/dataSets/{id}", show_dataset),
        web.get(f"{schemas}/schemas/{{id}}", show_schema),
        web.get(f"{schemas}/descriptors", list_descriptors),
        web.get("/data/core/idnamespace/identities", list_namespaces),
        web.get("/data/foundation/conversion/mappingSets/{id}", show_mapping_set),
    ]


def create_app(
    state: SandboxState | None = None, *, token_lifetime_seconds: int = TOKEN_LIFETIME_SECONDS
) -> web.Application:
    """The emulator as an aiohttp application; without a `state` it starts with an empty one.

    It reads far more than Adobe takes, so that a request over the limit is answered with 413 by
    the rule of Adobe and is in the journal.
    """
    app = web.Application(client_max_size=_READABLE_BYTES, middlewares=[journal, explain_mistakes])
    app[STATE] = state or SandboxState(token_lifetime_seconds=token_lifetime_seconds)
    app.add_routes(
        [
            web.post("/ims/token/v3", issue_token),
            web.post("/collection/batch/{inlet}", collect_many),
            web.post("/collection/{inlet}", collect),
            web.get("/data/core/ups/access/entities", look_up),
            *platform_routes(),
            *admin_routes(),
        ]
    )
    return app


class Sandbox:
    """The emulator on a port of its own; an async context manager. `url` is known once started."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, **state: Any) -> None:
        self.state = SandboxState(**state)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Have the emulator listen. Raises OSError when the port is taken."""
        self._runner = web.AppRunner(
            create_app(self.state),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_STOP_SECONDS,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{self._host}:{self._port}"

    async def stop(self) -> None:
        """Close the emulator at once; calls that hang are cut off, not released into their
        handlers.
        """
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self.state.faults.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
