"""Says in one sentence, before any test, when no RabbitMQ or no Redis can be had here.

`python -m devtools.servers` ends with 1 then.
"""

from __future__ import annotations

import os
import sys

from devtools import native_rabbitmq, native_redis
from devtools.broker import engine_answers


def missing_servers() -> str | None:
    """What keeps the tests from their servers; None when nothing does."""
    wanted = {os.environ.get(f"CONSENT_WORKER_TEST_{name}") for name in ("BROKER", "REDIS")}
    if "native" not in wanted and engine_answers():
        return None
    for ensure_installed in (native_rabbitmq.ensure_installed, native_redis.ensure_installed):
        try:
            ensure_installed()
        except (native_rabbitmq.BrokerUnavailable, native_redis.RedisUnavailable) as problem:
            return f"The tests need a real RabbitMQ and a real Redis: {problem}"
    return None


if __name__ == "__main__":
    sys.exit(missing_servers())
