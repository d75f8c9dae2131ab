"""What has to be done so that the broker has the topology of this version. Pure: it only says so.

An argument of a queue can't be changed, so a queue with other arguments is made anew. Its messages
are put aside meanwhile, and so are those that come, also where there are none yet. But for those of
the delay: these leave by themselves when their time has come, and would wait for all of it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from worker.broker.delay import entry
from worker.broker.topology import Topology
from worker.broker.topology_state import Found, TopologyState
from worker.counting import counted

_TTL: Final = "x-message-ttl"

Action = Literal["create", "replace", "move", "finish", "drop"]


@dataclass(frozen=True, slots=True)
class Step:
    """To be done for an exchange or a queue: `create` what is missing; `replace` what has other
    arguments, for a queue of the delay when its `messages` have left; `move` the messages of a
    queue aside, make it anew and move them back; `finish` what was interrupted; `drop` an event
    queue, whose messages go to the first one. `detail` tells why.
    """

    action: Action
    kind: Literal["exchange", "queue"]
    name: str
    detail: str = ""
    messages: int = 0

    @property
    def waits(self) -> bool:
        """Whether the step has to wait until the messages of a queue of the delay have left."""
        return self.action == "replace" and self.messages > 0


@dataclass(frozen=True, slots=True)
class Migration:
    """The steps of a migration, and a sentence for each thing that must be out of the way before
    any of them. `waits_for` are the queues of the delay that must be empty before, the longest
    first: all that are there, since a message goes from one to the next.
    """

    steps: Sequence[Step]
    obstacles: Sequence[str]
    waits_for: Sequence[str] = ()

    def of(self, kind: str, *actions: Action) -> list[str]:
        """The names of the exchanges or queues that such a step is for."""
        return [one.name for one in self.steps if one.kind == kind and one.action in actions]

    @property
    def deletes_queues(self) -> bool:
        """Whether a queue goes that may still be handing on messages."""
        return bool(self.of("queue", "replace", "move", "drop"))


def plan_migration(state: TopologyState, topology: Topology) -> Migration:
    """The migration that makes `topology` of what is on the broker."""
    delayed = {one.name for one in topology.queues if _TTL in one.arguments}
    fed = {one.destination for one in topology.bindings if not one.to_exchange}
    is_other_delay = any(one.state == "other" and one.name in delayed for one in state.queues)
    prefix = entry(topology.names.namespace)
    steps = [
        *(
            _for_exchange(one, is_other_delay and one.name.startswith(prefix))
            for one in state.exchanges
        ),
        *(
            _for_queue(one, one.name in delayed, one.name in fed, one.name in state.aside)
            for one in state.queues
        ),
    ]
    wanted = [one for one in steps if one is not None]
    changes = any(one.action != "create" for one in wanted)
    obstacles = [_in_use(one) for one in state.queues if one.consumers] if changes else []
    for one in state.dropped:
        if one.state != "missing":
            detail = f"its messages go to {topology.names.events}" if one.messages else ""
            wanted.append(Step("drop", "queue", one.name, detail, one.messages))
        if one.consumers:
            obstacles.append(
                f"queue {one.name} has {counted(one.consumers, 'consumer')}: stop the workers that "
                "name it in CONSENT_WORKER_EVENT_QUEUES"
            )
    chain = {entry(topology.names.namespace), *delayed}
    waits = any(one.action == "replace" and one.name in chain for one in wanted)
    there = [one.name for one in state.queues if one.name in delayed and one.state != "missing"]
    return Migration(wanted, obstacles, there[::-1] if waits else ())


def dead_letter_targets(topology: Topology, queue: str) -> list[str]:
    """The queues to which a queue may be handing on messages: the dead letters, and for one of the
    delay the shorter ones and where it ends.
    """
    names = topology.names
    delay = [one.name for one in topology.queues if _TTL in one.arguments]
    if queue == names.dead_letters:
        return []
    if queue not in delay:
        return [names.dead_letters]
    return [*delay[: delay.index(queue)], names.retries, names.parked, names.dead_letters]


def _for_exchange(found: Found, is_of_other_delay: bool) -> Step | None:
    if found.state == "missing":
        return Step("create", "exchange", found.name)
    if found.state == "other":
        return Step("replace", "exchange", found.name, found.detail)
    if is_of_other_delay:
        # It may have bindings of that version, which nobody can ask for.
        return Step("replace", "exchange", found.name, "it leads to queues with other arguments")
    return None


def _for_queue(found: Found, is_delay: bool, is_fed: bool, is_aside: bool) -> Step | None:
    """`is_fed` where messages may come at any moment, since an exchange leads to it."""
    if is_aside:
        action: Action = "move" if found.state == "other" else "finish"
        return Step(action, "queue", found.name, "a migration was interrupted", found.messages)
    if found.state == "missing":
        return Step("create", "queue", found.name)
    if found.state == "wanted":
        return None
    action = "move" if not is_delay and (is_fed or found.messages) else "replace"
    return Step(action, "queue", found.name, found.detail, found.messages)


def _in_use(found: Found) -> str:
    return f"queue {found.name} has {counted(found.consumers, 'consumer')}: stop all workers"
