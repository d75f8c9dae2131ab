"""Three nodes of RabbitMQ on this machine, in one cluster."""

from __future__ import annotations

import json
import secrets
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from devtools.native_rabbitmq import NativeRabbitMQ
from devtools.ports import lasting_port

NODES = 3
START_SECONDS = 180.0
"""A node that comes back takes in what it has missed, while others have the processor."""
_ONLINE_SECONDS = 100


@dataclass(frozen=True)
class Peers:
    """What nodes have in common by which they find and trust one another, and their names."""

    names: tuple[str, ...]
    epmd_port: int
    cookie: str
    password: str

    @classmethod
    def draw(cls) -> Self:
        mark = uuid.uuid4().hex[:6]
        names = tuple(f"c{mark}n{number}@localhost" for number in range(1, NODES + 1))
        return cls(names, lasting_port(), secrets.token_hex(16), secrets.token_hex(16))


class Node(NativeRabbitMQ):
    """One of them, alone until `join`."""

    start_seconds = START_SECONDS

    def __init__(self, number: int, peers: Peers) -> None:
        self._peers = peers
        super().__init__(peers.names[number], peers.password)
        cookie = self.home / ".erlang.cookie"
        cookie.write_text(peers.cookie)
        cookie.chmod(0o400)
        with (self.home / "rabbitmq.conf").open("a") as configuration:
            configuration.write("cluster_partition_handling = pause_minority\n")
        # The leaders of queues on all nodes, so that each node that dies leads some.
        (self.home / "advanced.config").write_text(
            '[{rabbit, [{queue_leader_locator, <<"balanced">>},\n'
            "           {dead_letter_worker_publisher_confirm_timeout, 10000}]}].\n"
        )

    def join(self) -> None:
        """Join the first one. By command, since a node whose discovery of peers takes too long goes
        on alone. Raises `BrokerUnavailable`.
        """
        for order in (["stop_app"], ["join_cluster", self._peers.names[0]], ["start_app"]):
            self.ctl(*order)

    def _choose_ports(self) -> None:
        self.port = lasting_port()
        self._env |= {
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(lasting_port()),
            "ERL_EPMD_PORT": str(self._peers.epmd_port),
        }


class Cluster:
    """A context manager; all of it is blocking."""

    def __init__(self) -> None:
        peers = Peers.draw()
        self._password = peers.password
        self.nodes: list[Node] = []
        try:
            for number in range(NODES):
                self.nodes.append(Node(number, peers))
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Raises `BrokerUnavailable`, also where a node does not join."""
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(Node.start, self.nodes))
        for node in self.nodes[1:]:
            node.join()
        self.wait_for_all()

    def wait_for_all(self) -> None:
        """Until all nodes are in the cluster. Raises `BrokerUnavailable`."""
        self.nodes[0].ctl("await_online_nodes", str(NODES), "--timeout", str(_ONLINE_SECONDS))

    def url(self, port: int) -> str:
        """Of the broker behind a balancer at `port`."""
        return self.nodes[0].url.replace(f":{self.nodes[0].port}/", f":{port}/")

    def version(self) -> str:
        return self.nodes[0].asked("--quiet", "version").strip()

    def queues(self) -> list[dict[str, Any]]:
        """`name`, `messages_ready` and `messages_unacknowledged` of all of them."""
        columns = ("name", "messages_ready", "messages_unacknowledged")
        said = self.nodes[0].asked("--quiet", "--formatter", "json", "list_queues", *columns)
        found: list[dict[str, Any]] = json.loads(said)
        return found

    def members(self) -> dict[str, int]:
        """How many nodes have a copy of each queue."""
        said = self.nodes[0].asked(
            "--quiet", "--formatter", "json", "list_queues", "name", "members"
        )
        return {one["name"]: len(one["members"]) for one in json.loads(said)}

    def remove(self) -> None:
        for node in self.nodes:
            node.__exit__()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
