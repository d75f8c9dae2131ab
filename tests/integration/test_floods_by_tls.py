"""Replies are bounded by TLS too, and on the loop that a worker runs on."""

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


SURPLUS = """
import asyncio, ssl, sys
import uvloop
from worker.adobe.endpoints import EndpointPolicy
from worker.adobe.http_client import exchange, open_session

certificate, key = sys.argv[1:]

async def main():
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    lines = []
    said = b""

    async def answer(reader, writer):
        lines.append(writer)
        while await reader.read(65_536):
            writer.write(said)

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_session(EndpointPolicy(("127.0.0.1",), True), 20.0) as session:
            for number in range(6):
                said = b"HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\n\\r\\n%d" % number
                reply = await exchange(session, "POST", url, data=b"{}")
                print(reply.body.decode(), len(lines))
                if number == 3:
                    lines[0].write(said)  # with no turn of the loop before the next request

uvloop.run(main())
"""


def printed(script: str, folder: Path) -> list[str]:
    """The lines that a script prints, which gets a certificate and its key."""
    certificate, key = make_certificate(folder)
    ran = subprocess.run(
        [sys.executable, "-c", script, str(certificate), str(key)],
        env=os.environ | {"SSL_CERT_FILE": str(certificate)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout.splitlines()


def test_a_reply_without_end_is_cut_off(tmp_path: Path) -> None:
    assert printed(TLS, tmp_path) == ["b'[]'", "connection-failed"]


def test_a_reply_that_nobody_asked_for_ends_its_line_and_no_other(tmp_path: Path) -> None:
    said = ["0 1", "1 1", "2 1", "3 1", "4 2", "5 3"]
    assert printed(SURPLUS, tmp_path) == said
