"""Whether the digests of a namespace on Redis are made with the secret that a worker has.

`NAMESPACE:digests` holds the mark of that secret. It is written by the first worker; who comes with
another secret would find none of the stamps, and let older choices win.
"""

from __future__ import annotations

from typing import Any, Final

from redis.exceptions import NoPermissionError

from worker.ordering.redis_server import Execute
from worker.ordering.redis_servers import Servers
from worker.ordering.secret_marks import NEW_WITHOUT, SecretRefused, mark_after
from worker.ordering.user_digests import Marks

_SCANS: Final = 200
_KEYS_A_SCAN: Final = 1000


async def admit(servers: Servers, namespace: str, marks: Marks) -> None:
    """Remember the secret of `marks` as that of the namespace. Raises `SecretRefused`, and
    `StoreUnavailable`.
    """
    key = servers.shared_key(namespace, "digests")
    known = await _ask(servers, "GET", key)
    if known is None:
        if not marks.is_keyed and not await _is_in_use(servers, namespace):
            raise SecretRefused(NEW_WITHOUT)
        await restore(servers, namespace, marks)  # another worker may have been first
        known = await _ask(servers, "GET", key)
    told = known.decode(errors="replace") if isinstance(known, bytes) else str(known)
    after = mark_after(told, marks)
    if after != told:
        await _ask(servers, "SET", key, after)


async def restore(servers: Servers, namespace: str, marks: Marks) -> None:
    """Write the mark of the secret again where it is gone, though this worker was admitted: whoever
    came with another secret would be taken for the first. Raises `StoreUnavailable`.
    """
    key = servers.shared_key(namespace, "digests")
    await _ask(servers, "SET", key, marks.present, "NX")


async def _ask(servers: Servers, command: str, key: str, *words: str) -> Any:
    return await servers.run(key, lambda execute: execute(command, key, *words))


async def _is_in_use(servers: Servers, namespace: str) -> bool:
    """Whether there are keys of the namespace, as far as we may look."""
    for name in ("integrations", "organizations"):  # the second is of workers before 0.2
        if await _ask(servers, "TYPE", servers.shared_key(namespace, name)) != b"none":
            return True

    async def scan(execute: Execute) -> bool:
        cursor = 0
        try:
            for _ in range(_SCANS):
                cursor, found = await execute(
                    "SCAN", cursor, "MATCH", f"{namespace}:{{*", "COUNT", _KEYS_A_SCAN
                )
                if found or not cursor:
                    return bool(found)
        except NoPermissionError:  # of a user from before `+scan` was among the rights
            return False
        return False

    return any(await servers.run_everywhere(scan))
