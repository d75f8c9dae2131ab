"""`python -m devtools.servers [COMMAND ...]` finds the servers for a run of tests before it begins.

Says in one sentence why they are not in containers, or what is missing, and ends with 1 then.
COMMAND is run in place of this program, and finds the choice made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from devtools import broker, native_rabbitmq, native_redis, redis_server
from devtools.engine import EngineUnusable, ensure_image, trouble
from devtools.fallback import native_because
from devtools.saying import say

_NAMES = ("RabbitMQ", "Redis")
_KIND_VARIABLES = (broker.KIND_VARIABLE, redis_server.KIND_VARIABLE)


def missing_servers() -> str | None:
    """What keeps the tests from their servers; None when nothing does."""
    programs = os.environ.get(native_rabbitmq.PROGRAMS_VARIABLE)
    broker_kind = "native" if programs else os.environ.get(broker.KIND_VARIABLE)
    problem = _missing(broker_kind, native_rabbitmq.ensure_installed) or _missing(
        os.environ.get(redis_server.KIND_VARIABLE), native_redis.ensure_installed
    )
    return problem and f"The tests need a real RabbitMQ and a real Redis: {problem}"


def _missing(kind: str | None, ensure_installed: Callable[[], object]) -> str | None:
    if kind != "native" and (kind == "docker" or trouble() is None):
        return trouble()
    try:
        ensure_installed()
    except (native_rabbitmq.BrokerUnavailable, native_redis.RedisUnavailable) as problem:
        return str(problem)
    return None


def choose() -> str | None:
    """Choose native servers for this process and its children where containers can't be used. The
    sentence that says why; None when they can, or others have chosen.
    """
    is_open = [not os.environ.get(name) for name in _KIND_VARIABLES]
    if os.environ.get(native_rabbitmq.PROGRAMS_VARIABLE):
        is_open[0] = False
    reason = _trouble_with_containers() if any(is_open) else None
    if reason is None:
        return None
    for variable, open_ in zip(_KIND_VARIABLES, is_open, strict=True):
        if open_:
            os.environ[variable] = "native"
    names = [name for name, open_ in zip(_NAMES, is_open, strict=True) if open_]
    verb = "run" if len(names) == 2 else "runs"
    return native_because(f"{' and '.join(names)} {verb}", reason)


def _trouble_with_containers() -> str | None:
    """Why a container can't be used; None after one was."""
    reason = trouble()
    if reason is not None:
        return reason
    try:
        for image in (broker.image(), redis_server.image()):
            ensure_image(image)
        trial = redis_server.ContainerRedis()
        try:
            trial.start()
        finally:
            trial.remove()
    except EngineUnusable as problem:
        return str(problem)
    return None


def main(command: list[str]) -> str | None:
    """What is missing; None when nothing is. Becomes `command` then, where one is given."""
    choice = choose()
    problem = missing_servers()
    if problem is None and choice is not None:
        say(choice)
    if problem is None and command:
        os.execvp(command[0], command)
    return problem


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
