"""A resolver of names by which no request leads into a private network."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from worker.adobe.endpoints import EndpointPolicy, is_public
from worker.adobe.host_lookup import HostLookup


class PrivateAddress(OSError):
    """A host's name leads into a private network, where no request may go."""


class GuardedResolver(AbstractResolver):
    """Refuses host names that resolve to an address that is not global, after resolving them.

    A check of the name alone could be turned by DNS rebinding; this one sees the address that the
    socket will be opened to.
    """

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        results = await self._inner.resolve(host, port, family)
        allowed = [one for one in results if is_public(one["host"])]
        if not allowed:
            raise PrivateAddress("the host resolves to a private address, which is not allowed")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def resolver_for(policy: EndpointPolicy) -> AbstractResolver:
    """The resolver of host names for requests to Adobe, which in local use takes any address."""
    lookup = HostLookup()
    return lookup if policy.allow_insecure else GuardedResolver(lookup)
