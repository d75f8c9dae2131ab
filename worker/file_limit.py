"""The limit of open files: raised as far as it goes, and told when lanes could use more."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterable

import structlog

from worker.integrations.model import Integration
from worker.observability.http_server import ACCEPTED_AT_ONCE, MAX_LINES

log = structlog.get_logger(__name__)

OTHER_FILES = MAX_LINES + ACCEPTED_AT_ONCE + 64
"""Files beside the requests to Adobe: the HTTP port's, two connections to the broker, eight to
Redis, and room for tokens, names to be resolved, integrations being read, and the interpreter."""

_MOST = 1_048_576  # where the hard limit is "unlimited": the kernel's own bound for a process


def prepare_files(integrations: Iterable[Integration]) -> None:
    """Raise the soft limit of open files to the hard one, and warn when `integrations` together
    could use more. It never fails: what can't be raised is told by the warning.
    """
    limit = raise_limit()
    wanted = files_wanted(integrations)
    if wanted > limit:
        log.warning(
            "files.limit",
            limit=limit,
            wanted=wanted,
            detail="the requests_in_flight of all integrations together could open more files than "
            "the process may: raise its hard limit (ulimit -Hn), or lower requests_in_flight",
        )


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= most:
        return _MOST if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(ValueError, OSError):  # forbidden by a sandbox: the old one holds
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def files_wanted(integrations: Iterable[Integration]) -> int:
    """Files open when every enabled integration has all its requests in flight."""
    requests = sum(one.limits.requests_in_flight for one in integrations if one.enabled)
    return requests + OTHER_FILES
