"""A console in the process of the test: real pages by HTTP, over a real ledger in a file."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from devtools.made_receipts import MadeWorker, made_now_ms, receipt, state
from tests.unit.ledger.ledger_file import LedgerFile
from worker.adobe.check.report_lines import Line, ok, wrong
from worker.console.app import MOST_BODY_BYTES, build_app
from worker.console.context import ConsoleContext
from worker.console.context_from_settings import build_context, note_configs
from worker.console.dead_letters.parts import LETTERS
from worker.console.http_server import ConsoleServer
from worker.console.request_times import CONNECTIONS
from worker.evidence.receipt import Receipt
from worker.integrations.model import Integration
from worker.settings import WorkerSettings

VIEWER: Final = "viewer-key-of-the-tests-0123456789"
OPERATOR: Final = "operator-key-of-the-tests-0123456789"
REVEALER: Final = "revealer-key-of-the-tests-0123456789"
SECRET: Final = "s3cr3t-of-the-customer"
EXAMPLE: Final = json.loads(
    (Path(__file__).parents[3] / "examples/integrations/shop.json").read_text()
)


class Clock:
    """The console's time, which a test may move."""

    def __init__(self) -> None:
        self.moved_ms = 0

    def __call__(self) -> int:
        return int(time.time() * 1000) + self.moved_ms


class RunningConsole:
    """`get` and `post` are a browser's that keeps cookies and follows no redirect."""

    def __init__(
        self,
        context: ConsoleContext,
        app: web.Application,
        port: int,
        http: aiohttp.ClientSession,
        clock: Clock,
    ) -> None:
        self.context = context
        self.clock = clock
        self.http = http
        self.letters = app[LETTERS]
        self.port = port
        lines = app[CONNECTIONS].lines
        assert lines is not None
        self.lines = lines
        self.url = f"http://127.0.0.1:{port}"

    async def get(self, path: str, **options: Any) -> Answer:
        return await self._ask("GET", path, **options)

    async def post(self, path: str, form: dict[str, str] | None = None, **options: Any) -> Answer:
        return await self._ask("POST", path, data=form or {}, **options)

    async def sign_in(self, key: str = VIEWER) -> None:
        answer = await self.post("/login", {"key": key})
        assert answer.status == 303, answer.text

    async def csrf(self) -> str:
        """The token that forms have."""
        return (await self.get("/keys")).text.partition('data-csrf="')[2].partition('"')[0]

    def forget(self) -> None:
        """Ask the ledger anew."""
        self.context.ledger.forget()
        self.context.pulse.forget()

    async def _ask(self, method: str, path: str, **options: Any) -> Answer:
        url = self.url + path
        async with self.http.request(method, url, allow_redirects=False, **options) as response:
            text = await response.text()
            return Answer(response.status, text, response.headers)


class Answer:
    """What came back."""

    def __init__(self, status: int, text: str, headers: Any) -> None:
        self.status = status
        self.text = text
        self.headers = headers

    @property
    def way(self) -> str:
        """Where it leads."""
        return str(self.headers["Location"])


def settings_of(home: Path, **changes: Any) -> WorkerSettings:
    """A console's, with all keys."""
    usual: dict[str, Any] = {
        "ledger_url": SecretStr(f"sqlite://{home}/ledger.sqlite"),
        "integrations": home / "integrations",
        "allowed_hosts": ("sandbox",),
        "allow_insecure": True,
        "console_viewer_key": SecretStr(VIEWER),
        "console_operator_key": SecretStr(OPERATOR),
        "console_revealer_key": SecretStr(REVEALER),
        "namespace": "eu-prod",
    }
    return WorkerSettings(**(usual | changes))


def write_integration(home: Path, integration: str, **changes: Any) -> Path:
    """A good file, with `changes`."""
    directory = home / "integrations"
    directory.mkdir(exist_ok=True)
    credentials = {"client_id": "client", "client_secret": SECRET, "api_key": "api-key-of-shop"}
    document = EXAMPLE | {"id": integration, "authentication": credentials} | changes
    path = directory / f"{integration}.json"
    path.write_text(json.dumps(document))
    return path


async def usual_check(_: Integration) -> Sequence[Line]:
    """Two lines."""
    return [ok("token", "obtained"), wrong("schema", "has no field `_northwind`")]


@asynccontextmanager
async def running_console(
    home: Path, check: Any = usual_check, bounds: Mapping[str, Any] | None = None, **settings: Any
) -> AsyncIterator[RunningConsole]:
    """One over what is in `home`; `bounds` are those of its HTTP server."""
    clock = Clock()
    context = build_context(settings_of(home, **settings), check, clock)
    if context.settings.integrations.is_dir():
        context.integrations.load()
    note_configs(context)
    app = build_app(context)
    server = ConsoleServer(app, MOST_BODY_BYTES, **(bounds or {}))
    port = await server.start("127.0.0.1", 0)
    try:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as http:
            yield RunningConsole(context, app, port, http, clock)
    finally:
        await context.checks.stop()
        await server.stop()
        context.ledger.close()
        context.memory.close()


def fill(ledger: LedgerFile, receipts: Iterable[Receipt], **told: Any) -> MadeWorker:
    """A worker that has written these, and its state."""
    worker = MadeWorker("worker-1:7")
    theirs = list(receipts)
    ledger.take(worker.begin())
    if theirs:
        ledger.take(worker.receipts(theirs))
    ledger.take(worker.state(state(taken=len(theirs), settled=len(theirs), **told)))
    return worker


def lane(integration: str = "shop", **changes: Any) -> dict[str, Any]:
    """A lane as a worker tells it."""
    usual = {
        "integration": integration,
        "state": "failing",
        "held": 12,
        "error": "adobe-unavailable",
        "words": "Service Unavailable",
        "since": int(time.time() * 1000) - 660_000,
        "allowed": 1,
        "token_seconds": 18_000,
    }
    return usual | changes


def waiting_withdrawal(reason: str, ago_ms: int) -> Receipt:
    """Of travel, made so long ago, that is parked and comes back soon."""
    return receipt(
        integration="travel",
        outcome="parked",
        reason=reason,
        choice="withdrawn",
        event_at=made_now_ms() - ago_ms,
        due_at=made_now_ms() + 40_000,
        status=None,
        xaction=None,
    )


def usual_receipts(count: int = 20) -> list[Receipt]:
    """Delivered ones, every third a withdrawal."""
    return [receipt(choice="withdrawn" if n % 3 == 0 else "given") for n in range(count)]
