"""A private Prometheus from Debian's package, on a free port and in a temporary directory."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from devtools import debian, guard
from devtools.ports import free_port

_START_SECONDS = 30.0
_CALL_SECONDS = 10.0


class PrometheusUnavailable(RuntimeError):
    """No Prometheus can be had here; the text says what is missing."""


def ensure_installed() -> Path:
    """The directory of prometheus and promtool; Debian's are installed where that is possible.
    Raises `PrometheusUnavailable`.
    """
    if shutil.which("promtool") is None and (trouble := debian.trouble_with("prometheus")):
        raise PrometheusUnavailable(f"This test needs a real Prometheus: {trouble}")
    found = shutil.which("promtool")
    if found is None or not Path(found).with_name("prometheus").exists():
        raise PrometheusUnavailable(
            "This test needs a real Prometheus: promtool and prometheus are to be in one directory"
        )
    return Path(found).parent


class NativePrometheus:
    """Scrapes `jobs` once a second and evaluates the rules of `rule_file` as often: each job is a
    `scrape_config` of Prometheus's.
    """

    def __init__(self, jobs: list[dict[str, Any]], rule_file: Path) -> None:
        self._program = ensure_installed() / "prometheus"
        self.home = guard.directory("consent-prometheus-", "server")
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        seconds = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        document = {
            "global": seconds,
            "rule_files": [str(rule_file)],
            "scrape_configs": jobs,
        }
        (self.home / "prometheus.yml").write_text(json.dumps(document))  # JSON is YAML

    def start(self) -> None:
        """Start and wait until it is ready. Raises `PrometheusUnavailable`."""
        arguments = [
            f"--config.file={self.home / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with (self.home / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [str(self._program), *arguments],
                env=guard.marked(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.home / "output").read_text(errors="replace")[-1500:]
                raise PrometheusUnavailable(f"Prometheus did not start:\n{said}")
            time.sleep(0.1)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that `expression` gives now."""
        return list(self.ask("query", query=expression)["result"])

    def ask(self, what: str, **parameters: str) -> Any:
        """What its API answers. Raises `urllib.error.HTTPError` for what it does not understand."""
        text = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{text}"
        with urllib.request.urlopen(url, timeout=_CALL_SECONDS) as answer:
            return json.load(answer)["data"]

    def _is_ready(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/-/ready"
        try:
            with urllib.request.urlopen(url, timeout=_CALL_SECONDS):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        guard.remove("server", str(self.home))
