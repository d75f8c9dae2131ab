"""`python -m devtools.chaos`: 0 when all promises were kept, 1 when one was broken.

Variables: `CHAOS_SEED` (else drawn), `CHAOS_SECONDS` of trouble, `CHAOS_EVENTS`, and
`CHAOS_REDIS=cluster` for a Redis Cluster. RabbitMQ and Redis are native ones, also where containers
can be had: they are stopped and stalled by signals.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys

from devtools import guard
from devtools.chaos.run import Options, run
from devtools.chaos.story import Story
from devtools.interrupt import to_its_end
from devtools.native_rabbitmq import BrokerUnavailable
from devtools.native_redis import RedisUnavailable
from worker.observability.quiet_libraries import silence_libraries


def options_in_environment() -> Options:
    """Raises ValueError, whose text names the variable."""

    def number(name: str, default: int, least: int) -> int:
        text = os.environ.get(name) or str(default)
        if not text.isdecimal() or int(text) < least:
            raise ValueError(f"{name} must be a whole number, {least} or more")
        return int(text)

    return Options(
        seed=number("CHAOS_SEED", secrets.randbelow(1_000_000), 0),
        seconds=number("CHAOS_SECONDS", 180, 10),
        events=number("CHAOS_EVENTS", 5000, 100),
        redis_cluster=_is_cluster(os.environ.get("CHAOS_REDIS", "")),
    )


def _is_cluster(text: str) -> bool:
    if text not in ("", "single", "cluster"):
        raise ValueError("CHAOS_REDIS must be single or cluster")
    return text == "cluster"


def _run() -> int:
    try:
        options = options_in_environment()
    except ValueError as mistake:
        print(mistake, file=sys.stderr)
        return 2
    silence_libraries()
    story = Story(guard.directory("consent-chaos-"))
    story.say(f"Seed {options.seed}; starting a cluster, Redis and workers")
    try:
        asyncio.run(run(options, story))
    except (BrokerUnavailable, RedisUnavailable) as missing:
        print(f"chaos needs a RabbitMQ and a Redis of its own: {missing}", file=sys.stderr)
        return 1
    if not story.problems:
        print("All promises were kept", flush=True)
        return 0
    kept = story.keep(f"seed-{options.seed}")
    print(f"\n{len(story.problems)} promises were broken:", *story.shown_problems(), sep="\n  ")
    print(
        f"Look at {kept}: story.txt tells what happened and all that is wrong, worker-*.log what "
        "each worker said of an event, requests.jsonl what came to the endpoints, node-*/ and "
        "redis-*.txt what the servers said.",
        f"Again: CHAOS_SEED={options.seed} CHAOS_SECONDS={options.seconds} "
        f"CHAOS_EVENTS={options.events} "
        f"CHAOS_REDIS={'cluster' if options.redis_cluster else 'single'} make chaos",
        sep="\n",
    )
    return 1


def main() -> int:
    """2 for a variable that can't be used; 130 and 143 for Ctrl-C and SIGTERM."""
    return to_its_end(_run, print)


if __name__ == "__main__":
    sys.exit(main())
