"""Three masters of a Redis Cluster from Debian's package, each with a third of the slots."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any, Final, Self

from redis import Redis
from redis.exceptions import RedisError

from devtools.native_redis import NativeRedis, RedisUnavailable
from devtools.ports import lasting_port

MASTERS: Final = 3
_SLOTS: Final = 16384
_MEET_SECONDS: Final = 30.0
_NODE_TIMEOUT_MS: Final = 1000


class NativeRedisCluster:
    """A context manager. Its `masters` can be killed, stalled and started again, with their data.
    While one is away the others go on. With a `certificate` and its key clients and nodes speak
    TLS; `ask` goes past it.
    """

    def __init__(
        self, options: tuple[str, ...] = (), certificate: tuple[Path, Path] | None = None
    ) -> None:
        self._certificate = certificate
        self._password = secrets.token_hex(16)
        ours = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
        bounds = ("--cluster-node-timeout", str(_NODE_TIMEOUT_MS))
        self._options = (*ours, *bounds, "--masterauth", self._password, *options)
        self._bus_ports: dict[int, int] = {}
        self._client_ports: dict[int, int] = {}
        self.masters = [self._node() for _ in range(MASTERS)]

    @property
    def url(self) -> str:
        """Of the whole cluster."""
        hosts = ",".join(f"127.0.0.1:{self._client_ports[one.port]}" for one in self.masters)
        if self._certificate is None:
            return f"redis+cluster://:{self._password}@{hosts}"
        return f"rediss+cluster://:{self._password}@{hosts}?ssl_ca_certs={self._certificate[0]}"

    def master_of(self, key: str) -> NativeRedis:
        """The one that has the slot of a key."""
        slot: int = self.ask(self.masters[0], "CLUSTER", "KEYSLOT", key)
        return self.masters[slot * MASTERS // _SLOTS]

    def ask(self, node: NativeRedis, *words: str | int) -> Any:
        """What a node answers to a command."""
        with Redis.from_url(node.url) as client:
            return client.execute_command(*words)

    def start(self) -> None:
        """Return when every master knows of all slots. Raises `RedisUnavailable`."""
        for node in self.masters:
            node.start()
        for number, node in enumerate(self.masters):
            first, after = (one * _SLOTS // MASTERS for one in (number, number + 1))
            self.ask(node, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            if number:
                self._meet(node, self.masters[0])
        self.wait_until_whole(self.masters)

    def add_replica(self, master: NativeRedis) -> NativeRedis:
        """A node that has what `master` has, and takes its place when that fails."""
        replica = self._node()
        replica.start()
        self._meet(replica, master)
        name = self.ask(master, "CLUSTER", "MYID").decode()
        self._until(lambda: self._begins_to_follow(replica, name), "a replica")
        self._until(lambda: self._follows(replica), "a replica with the data")
        return replica

    def wait_until_whole(self, nodes: list[NativeRedis]) -> None:
        """Return when each of these says that all slots are served. Raises `RedisUnavailable`."""
        for node in nodes:
            self._until(lambda node=node: self._is_whole(node), "a whole cluster")

    def _node(self) -> NativeRedis:
        bus_port = lasting_port()
        options = (*self._options, "--cluster-port", str(bus_port))
        tls_port = None if self._certificate is None else lasting_port()
        if self._certificate is not None:
            certificate, key = map(str, self._certificate)
            options += ("--tls-port", str(tls_port), "--tls-cluster", "yes")
            options += ("--tls-cert-file", certificate, "--tls-key-file", key)
            options += ("--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
        node = NativeRedis(self._password, options)
        self._bus_ports[node.port] = bus_port
        self._client_ports[node.port] = tls_port or node.port
        return node

    def _meet(self, node: NativeRedis, other: NativeRedis) -> None:
        bus_port = self._bus_ports[other.port]
        port = self._client_ports[other.port]
        self.ask(node, "CLUSTER", "MEET", "127.0.0.1", port, bus_port)

    def _is_whole(self, node: NativeRedis) -> bool:
        said = self.ask(node, "CLUSTER", "INFO")
        known = self.ask(node, "CLUSTER", "SLOTS")
        text = said.decode() if isinstance(said, bytes) else str(said)
        return "cluster_state:ok" in text and len(known) >= MASTERS

    def _begins_to_follow(self, replica: NativeRedis, master: str) -> bool:
        try:
            self.ask(replica, "CLUSTER", "REPLICATE", master)
        except RedisError:
            return False  # it has not heard of it yet
        return True

    def _follows(self, replica: NativeRedis) -> bool:
        with Redis.from_url(replica.url) as client:
            return bool(client.info("replication").get("master_link_status") == "up")

    @staticmethod
    def _until(is_so: Any, what: str) -> None:
        deadline = time.monotonic() + _MEET_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                raise RedisUnavailable(f"there was no {what} within {_MEET_SECONDS:g} s")
            time.sleep(0.05)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.masters:
            node.__exit__()
