"""How soon the console's pages are there with a large ledger: `python -m bench.console FILE`.

`python -m bench.ledger --direct --receipts 10_000_000 --keep FILE` makes one. A console of its own
process reads it, for a thousand customers with their files; Debian's Chromium opens each page some
times, after once to warm up, and tells when the first of it was painted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

from devtools import guard
from devtools.broker import running_broker
from devtools.chromium import ensure_installed
from devtools.examples import integration_document
from devtools.ports import free_port

_KEY: Final = "key-of-the-benchmark-0123456789abcdef"
_CUSTOMERS: Final = 1_000
_PAGES: Final = (
    "/",
    "/?period=week",
    "/integrations",
    "/integrations/customer-0001",
    "/dead-letters",
    "/find",
    "/explain",
    "/trail",
)
_START_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 2.5
"""What the console was told of the last hour it keeps for two seconds, and then asks anew."""
_PAINT: Final = """() => new Promise(told => new PerformanceObserver(list => {
    const first = list.getEntriesByName("first-contentful-paint")[0];
    if (first) told(first.startTime);
}).observe({type: "paint", buffered: true}))"""
_ANSWERED: Final = "() => performance.getEntriesByType('navigation')[0].responseEnd"


def _write_files(directory: Path) -> None:
    for number in range(_CUSTOMERS):
        name = f"customer-{number:04d}"
        document = integration_document(id=name, organization_id=f"org-{number:04d}")
        (directory / f"{name}.json").write_text(json.dumps(document))


@contextmanager
def _console(amqp_url: str, ledger: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bench-console-") as directory:
        _write_files(Path(directory))
        port = free_port()
        settings = {
            "AMQP_URL": amqp_url,
            "LEDGER_URL": f"sqlite://{ledger}",
            "INTEGRATIONS": directory,
            "CONSOLE_PORT": port,
            "CONSOLE_OPERATOR_KEY": _KEY,
            "LOG_LEVEL": "error",
        }
        env = guard.marked() | {
            f"CONSENT_WORKER_{name}": str(one) for name, one in settings.items()
        }
        command = [sys.executable, "-m", "worker", "console", "--no-ledger"]
        console = subprocess.Popen(command, env=env)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(f"{url}/login")
            yield url
        finally:
            console.terminate()
            console.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url):
            return
        time.sleep(0.1)
    raise SystemExit("the console did not start")


def _tell(page: Page, url: str, times: int) -> None:
    print(f"{'page':30} first paint, ms: median, most   answered, ms: median   kB")
    for path in _PAGES:
        painted, answered, sizes = [], [], []
        for number in range(times + 1):
            time.sleep(_PAUSE_SECONDS)
            response = page.goto(url + path)
            paint, answer = page.evaluate(_PAINT), page.evaluate(_ANSWERED)
            assert response is not None, path
            assert response.status == 200, path
            if number:  # not the one that warms up
                painted.append(paint)
                answered.append(answer)
                sizes.append(len(response.body()))
        print(
            f"{path:30} {statistics.median(painted):23.0f} {max(painted):6.0f}"
            f" {statistics.median(answered):22.0f} {max(sizes) / 1000:6.0f}",
            flush=True,
        )


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ledger", type=Path, help="a ledger's file, which is only read")
    parser.add_argument("--times", type=int, default=5, help="that each page is opened")
    chosen = parser.parse_args()
    with (
        running_broker() as broker,
        _console(broker.url, chosen.ledger.resolve()) as url,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(
            executable_path=ensure_installed(), args=["--no-sandbox"]
        )
        page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(f"{url}/")
        page.get_by_label("Key").fill(_KEY)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{url}/")
        _tell(page, url, chosen.times)
        chromium.close()


if __name__ == "__main__":
    _main()
