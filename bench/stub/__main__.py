"""`python -m bench.stub HOST PORT` (of the broker): serve, and print the ports of HTTP and tap."""

from __future__ import annotations

import asyncio
import gc
import sys

import uvloop

from bench.stub.figures import Figures
from bench.stub.http import Hanging, StubProtocol
from bench.stub.tap import Tap


async def serve(host: str, port: int) -> None:
    """Serve until the process ends."""
    loop = asyncio.get_running_loop()
    figures, hanging = Figures(), Hanging()
    http = await loop.create_server(
        lambda: StubProtocol(figures, hanging), "127.0.0.1", 0, backlog=4096
    )
    tap = await asyncio.start_server(Tap(host, port, figures).relay, "127.0.0.1", 0)
    gc.freeze()
    ports = [server.sockets[0].getsockname()[1] for server in (http, tap)]
    print(*ports, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
