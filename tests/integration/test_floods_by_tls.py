"""A reply without end is cut off by TLS too, and on the loop that a worker runs on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.tls import make_certificate

TLS = """
import asyncio, ssl, sys
import aiohttp, uvloop
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import ExchangeFailed, exchange, open_session

certificate, key = sys.argv[1:]

async def main():
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)

    async def flood(reader, writer):
        while b"/good" in await reader.readuntil(b"{}"):
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n[]")
        while True:
            writer.write(b"HTTP/1.1 103 E\\r\\n\\r\\n" * 4000)
            await writer.drain()

    async with await asyncio.start_server(flood, "127.0.0.1", 0, ssl=server_side) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_session(EndpointPolicy(("127.0.0.1",), True), 20.0) as session:
            print((await exchange(session, "POST", f"{url}/good", data=b"{}")).body)
            try:
                await asyncio.wait_for(exchange(session, "POST", f"{url}/bad", data=b"{}"), 10)
            except ExchangeFailed as failed:
                print(failed.error)

uvloop.run(main())
"""


def test_a_reply_without_end_is_cut_off(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", TLS, str(certificate), str(key)],
        env=os.environ | {"SSL_CERT_FILE": str(certificate)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.splitlines() == ["b'[]'", "connection-failed"]
