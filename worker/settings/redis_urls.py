"""The URLs of Redis: of one server, or of a cluster with several of its nodes."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from yarl import URL

from worker.settings.value_bounds import check_url

SCHEMES: Final = ("redis", "rediss", "redis+cluster", "rediss+cluster")
"""The last two are those of a cluster; with the second s of each pair by TLS."""
_CLUSTER: Final = "+cluster"
_PORT: Final = 6379
_PARTS: Final = re.compile(r"(rediss?(?:\+cluster)?)://(?:([^/?#]*)@)?([^/?#@]*)([/?#].*)?", re.S)
_PATH: Final = re.compile(r"/?[0-9]{0,5}")


class RedisUrls(NamedTuple):
    """The parts of a URL of Redis. `addresses` are `HOST:PORT` each; `before` and `after` stand
    around one in its URL.
    """

    is_cluster: bool
    addresses: tuple[str, ...]
    before: str
    after: str

    def at(self, address: str) -> str:
        """The URL of the Redis server at `address`, with the credentials and options of all."""
        return f"{self.before}{address}{self.after}"


def redis_urls(text: str) -> RedisUrls:
    """What a URL of Redis says, of which a cluster's has several hosts with commas between them.
    Raises ValueError, whose text has nothing of the URL.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None:
        check_url(text, *SCHEMES)
        raise ValueError("must be a URL with a host")
    scheme, user, hosts, after = parts.groups(default="")
    before = f"{scheme.removesuffix(_CLUSTER)}://{user and f'{user}@'}"
    if not scheme.endswith(_CLUSTER):
        if "," in hosts:
            raise ValueError(
                f"names several hosts: the nodes of a Redis Cluster are {scheme}{_CLUSTER}://; "
                "more than one server without a cluster is not supported"
            )
        _check(text)
        return RedisUrls(False, (hosts,), before, after)
    if URL(f"redis://h{after}").path not in ("", "/", "/0"):
        raise ValueError("must not name a database: a Redis Cluster has 0 alone")
    found = RedisUrls(True, tuple(map(_with_port, hosts.split(","))), before, after)
    for one in found.addresses:
        _check(found.at(one))
    return found


def _check(url: str) -> None:
    """One server's."""
    check_url(url, "redis", "rediss")
    if not _PATH.fullmatch(URL(url).path):
        raise ValueError("must have the number of a database or nothing for a path")


def _with_port(host: str) -> str:
    return host if re.search(r":[0-9]+$", host.rpartition("]")[2]) else f"{host}:{_PORT}"
