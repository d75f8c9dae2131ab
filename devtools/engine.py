"""The Docker engine, by the `docker` command alone: what it says is all there is to go wrong."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

ANSWER_SECONDS = 5.0
"""For an engine to say its version. One that is busy takes less than a second."""
ORDER_SECONDS = 60.0
"""For an engine to create or start a container."""
REGISTRY_SECONDS = 20.0
"""For a registry's first word about an image."""
LAYER_SECONDS = 180.0
"""Between two words of a pull: each tells the end of a layer."""


class EngineUnusable(RuntimeError):
    """The engine can't do what it was asked for; the text says why, as a part of a sentence."""


def docker(
    *arguments: str, seconds: float = ORDER_SECONDS, environment: dict[str, str] | None = None
) -> str:
    """What `docker` prints. Raises `EngineUnusable`.

    In a session of its own: a Ctrl-C leaves the engine no half-understood order.
    """
    process = _start(arguments, environment)
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise EngineUnusable(
            f"the Docker engine had no answer to `docker {arguments[0]}` for {seconds:g} s"
        ) from None
    finally:
        _end(process)
    if process.returncode:
        raise EngineUnusable(f"`docker {arguments[0]}` failed ({_last_line(err)})")
    return out.strip()


@cache
def trouble() -> str | None:
    """Why no engine can be used here; None when one answers. Asked once."""
    try:
        docker("version", "--format", "{{.Server.Version}}", seconds=ANSWER_SECONDS)
    except EngineUnusable as problem:
        return str(problem)
    return None


def ensure_image(image: str) -> None:
    """Pull it unless it is there. Raises `EngineUnusable`."""
    if docker("image", "ls", "--quiet", image):
        return
    process = _start(("pull", image), None)
    said = b""
    try:
        with selectors.DefaultSelector() as selector:
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                patience = LAYER_SECONDS if said else REGISTRY_SECONDS
                if not selector.select(patience):
                    raise EngineUnusable(
                        f"the registry of the image {image} had no answer for {patience:g} s"
                    )
                chunk = os.read(process.stdout.fileno(), 65_536)
                if not chunk:
                    break
                said += chunk
        _, err = process.communicate(timeout=ORDER_SECONDS)
        if process.returncode:
            raise EngineUnusable(f"the image {image} can't be pulled ({_last_line(err)})")
    finally:
        _end(process)


@cache
def address() -> str:
    """The address of this machine, or of the engine's, at which containers publish their ports."""
    host = os.environ.get("DOCKER_HOST") or docker(
        "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"
    )
    is_contained = Path("/.dockerenv").exists() and (
        docker("info", "--format", "{{.Name}}") != socket.gethostname()
    )
    return published_at(host, _gateway() if is_contained else "")


def published_at(engine: str, gateway: str) -> str:
    """Loopback, so that nobody else reaches it. Where the engine is another machine, its address.
    Where this process is itself in a container of the engine, the engine's address as seen from
    there, its `gateway`.
    """
    url = urlsplit(engine)
    if url.scheme not in ("unix", "npipe", "") and url.hostname:
        found = socket.gethostbyname(url.hostname)
        return "127.0.0.1" if found.startswith("127.") else found
    return gateway or "127.0.0.1"


def _gateway() -> str:
    for row in Path("/proc/net/route").read_text().splitlines()[1:]:
        _, destination, gateway, *_ = row.split()
        if destination == "00000000":
            return socket.inet_ntoa(int(gateway, 16).to_bytes(4, "little"))
    return ""


def _start(arguments: tuple[str, ...], environment: dict[str, str] | None) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            ["docker", *arguments],
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise EngineUnusable("there is no `docker` command") from None
    except OSError as error:
        raise EngineUnusable(f"the `docker` command can't be run ({error.strerror})") from None


def _end(process: subprocess.Popen[str]) -> None:
    """End it with its children, which would keep its pipes open."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "without a word"
